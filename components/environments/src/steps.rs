//! Task steps: what doing and undoing each of them means.

mod data_center;
mod environment;

use domain::{
    Error, Kind, Result,
    task::{Outcome, StepName, TaskType, Turn},
};
use store::{Tx, jobs};
use tasks::{Boxed, Settled, Work};

/// The steps of this component's tasks.
pub struct Steps;

impl tasks::Steps for Steps {
    fn take<'a>(&'a self, work: &'a Work<'a>, step: StepName, turn: Turn) -> Boxed<'a, Outcome> {
        match is_about_data_center(work.task_type) {
            true => Box::pin(data_center::take(work, step, turn)),
            false => Box::pin(async move { environment::take(work, step, turn).await.or_else(refused) }),
        }
    }

    fn settle<'a>(&'a self, tx: &'a Tx<'a>, settled: &'a Settled<'a>) -> Boxed<'a, ()> {
        match is_about_data_center(settled.work.task_type) {
            true => Box::pin(data_center::settle(tx, settled)),
            false => Box::pin(environment::settle(tx, settled)),
        }
    }
}

fn is_about_data_center(task_type: TaskType) -> bool {
    matches!(
        task_type,
        TaskType::DatacenterRegister
            | TaskType::DatacenterValidate
            | TaskType::DatacenterUpdate
            | TaskType::DatacenterDiscover
            | TaskType::DatacenterDelete
    )
}

/// A rule's refusal fails the turn. A fault stays one and is tried again.
fn refused(error: Error) -> Result<Outcome> {
    let stays = error.kind == Kind::Unavailable || error.code == jobs::FENCED || error.code == "task_unknown";
    if stays { Err(error) } else { Ok(Outcome::Failed(error.public)) }
}
