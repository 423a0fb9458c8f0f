//! The steps of this component's tasks: those on subscriptions, and those on service bindings of subscriptions.

mod service_binding;
mod subscription;

use ::tasks::{Boxed, Settled, Work};
use domain::task::{Outcome, StepName, TaskType, Turn};
use store::Tx;

/// The steps of this component's tasks.
pub struct Steps;

fn is_of_binding(work: &Work<'_>) -> bool {
    matches!(work.task_type, TaskType::ServiceBind | TaskType::ServiceUnbind)
}

impl ::tasks::Steps for Steps {
    fn take<'a>(&'a self, work: &'a Work<'a>, step: StepName, turn: Turn) -> Boxed<'a, Outcome> {
        match is_of_binding(work) {
            true => Box::pin(service_binding::take(work, step, turn.way)),
            false => Box::pin(subscription::take(work, step, turn.way)),
        }
    }

    fn settle<'a>(&'a self, tx: &'a Tx<'a>, settled: &'a Settled<'a>) -> Boxed<'a, ()> {
        match is_of_binding(settled.work) {
            true => Box::pin(service_binding::settle(tx, settled)),
            false => Box::pin(subscription::settle(tx, settled)),
        }
    }
}
