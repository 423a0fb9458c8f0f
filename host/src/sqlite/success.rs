//! The result of a statement that went well, as a type of its own.
//!
//! A future's value is lowered when the guest reads it. If its type may need memory in the guest, as the text of an error
//! does, wasmtime must leave the guest for that and call it back: as dear as a host call, for every statement. This type
//! is the same to the guest, but says that no text will come.

use std::mem::MaybeUninit;

use wasmtime::Result;
use wasmtime::component::__internal::{CanonicalAbiInfo, InstanceType, InterfaceType, LiftContext, LowerContext};
use wasmtime::component::{ComponentType, Lift, Lower};

use crate::bindings::spin::sqlite::sqlite::Error;

/// The type in the interface.
type Whole = std::result::Result<(), Error>;

/// `Ok(())` as a `result<_, error>`.
pub(super) struct Success;

#[expect(unsafe_code, reason = "wasmtime has no safe way to say that a value of a variant needs no memory")]
// SAFETY: all that describes the type is that of `Whole`, and `Whole::Ok` has no payload to allocate memory for.
unsafe impl ComponentType for Success {
    type Lower = <Whole as ComponentType>::Lower;

    const ABI: CanonicalAbiInfo = Whole::ABI;
    const MAY_REQUIRE_REALLOC: bool = false;

    fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> Result<()> {
        Whole::typecheck(ty, types)
    }
}

#[expect(unsafe_code, reason = "see above")]
// SAFETY: a value of `Whole` is lowered, by its own implementation.
unsafe impl Lower for Success {
    fn linear_lower_to_flat<T>(
        &self,
        context: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        destination: &mut MaybeUninit<Self::Lower>,
    ) -> Result<()> {
        Whole::Ok(()).linear_lower_to_flat(context, ty, destination)
    }

    fn linear_lower_to_memory<T>(&self, context: &mut LowerContext<'_, T>, ty: InterfaceType, offset: usize) -> Result<()> {
        Whole::Ok(()).linear_lower_to_memory(context, ty, offset)
    }
}

// Only asked for by the type of a future, which a host could also read.
#[expect(unsafe_code, reason = "see above")]
// SAFETY: a value of `Whole` is lifted, by its own implementation.
unsafe impl Lift for Success {
    fn linear_lift_from_flat(context: &mut LiftContext<'_>, ty: InterfaceType, source: &Self::Lower) -> Result<Self> {
        Self::of(Whole::linear_lift_from_flat(context, ty, source)?)
    }

    fn linear_lift_from_memory(context: &mut LiftContext<'_>, ty: InterfaceType, bytes: &[u8]) -> Result<Self> {
        Self::of(Whole::linear_lift_from_memory(context, ty, bytes)?)
    }
}

impl Success {
    fn of(result: Whole) -> Result<Self> {
        result.map(|()| Self).map_err(|error| wasmtime::format_err!("{error:?}"))
    }
}
