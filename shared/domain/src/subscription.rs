//! Subscriptions: services that customers have.

use crate::text_enum;

text_enum! {
    /// Where a subscription stands.
    pub enum SubscriptionStatus {
        /// Its task is at work.
        Provisioning = "PROVISIONING",
        /// The customer has the service.
        Active = "ACTIVE",
        /// It could not be provisioned, and what was done for it has been undone.
        Failed = "FAILED",
    }
}

impl SubscriptionStatus {
    /// Whether whoever has the subscription counts on its service and plan.
    pub fn is_in_use(self) -> bool {
        match self {
            Self::Provisioning | Self::Active => true,
            Self::Failed => false,
        }
    }
}
