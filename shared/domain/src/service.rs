//! The catalogue: what can be provisioned, and by which driver.

use crate::text_enum;

text_enum! {
    /// What carries a service out.
    pub enum Driver {
        /// A person does it and says so.
        Manual = "MANUAL",
        /// The hub itself records that the customer is entitled to it.
        Builtin = "BUILTIN",
    }
}

text_enum! {
    /// The product families that commit contracts are made for.
    pub enum ProductFamily {
        /// Managed services.
        Msp = "MSP",
        /// Rented licences.
        Rental = "RENTAL",
        /// Support.
        Gss = "GSS",
        /// Subscriptions run by the vendor.
        Srv = "SRV",
        /// SD-WAN.
        Velo = "VELO",
        /// Software of independent vendors.
        Isv = "ISV",
        /// Sovereign clouds.
        Sov = "SOV",
        /// Licence portability.
        Lpcaas = "LPCAAS",
    }
}
