//! Orders of services, and of what is done to subscriptions: placed by callers, approved by customers, or due at the end of a
//! term.

mod approved;
mod order;
mod submit;
mod term_end;

pub use approved::begin_approved;
pub use order::{Demand, Order};
pub use submit::{Submitted, submit};
pub use term_end::look_at_term;
