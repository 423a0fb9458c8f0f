//! Tasks: work in several steps that either all take place or are undone.
//!
//! A step is a pair (do, undo). What is to be done next follows from the steps' statuses alone, and so does the status
//! of the whole task: [`next`] and [`status`] are functions of what is stored, so a runner that died leaves nothing
//! behind that the one after it would have to know.
//!
//! Steps are done in order. Once one has failed no step is done any more, and those that were done are undone in
//! reverse. A cancelled step turns a task round in the same way. A task whose rollback is disabled is not undone: it
//! stays where it is, and that is the checkpoint from which it can go on.

use crate::{Id, Instant, Permission, id, text_enum};
use std::{fmt, str::FromStr};

text_enum! {
    /// What a task is for; it decides the steps.
    pub enum TaskType {
        /// Provisions a service to a customer.
        SubscriptionProvision = "SUBSCRIPTION_PROVISION",
        /// Changes the plan, the quantity or the properties of what a customer has.
        SubscriptionChange = "SUBSCRIPTION_CHANGE",
        /// Withholds a service from a customer.
        SubscriptionSuspend = "SUBSCRIPTION_SUSPEND",
        /// Gives a customer a service again that was withheld.
        SubscriptionResume = "SUBSCRIPTION_RESUME",
        /// Renews what a customer has of a service for another term.
        SubscriptionRenew = "SUBSCRIPTION_RENEW",
        /// Takes a service away from a customer for good.
        SubscriptionTerminate = "SUBSCRIPTION_TERMINATE",
        /// Makes a service binding of a subscription.
        ServiceBind = "SERVICE_BIND",
        /// Deletes a service binding of a subscription.
        ServiceUnbind = "SERVICE_UNBIND",
        /// Registers a data center component.
        DatacenterRegister = "DATACENTER_REGISTER",
        /// Asks whether a data center component is as it was described.
        DatacenterValidate = "DATACENTER_VALIDATE",
        /// Changes what is known of a data center component.
        DatacenterUpdate = "DATACENTER_UPDATE",
        /// Finds out what a data center component has.
        DatacenterDiscover = "DATACENTER_DISCOVER",
        /// Removes a data center component from the hub.
        DatacenterDelete = "DATACENTER_DELETE",
        /// Deploys an environment, or replaces what it is.
        EnvironmentDeploy = "ENVIRONMENT_DEPLOY",
        /// Takes over an environment that was deployed before.
        EnvironmentImport = "ENVIRONMENT_IMPORT",
        /// Asks whether an environment could be deployed, or is as it is described.
        EnvironmentValidate = "ENVIRONMENT_VALIDATE",
        /// Deletes an environment.
        EnvironmentDelete = "ENVIRONMENT_DELETE",
        /// Brings products of an environment to other versions.
        Upgrade = "UPGRADE",
        /// Adds nodes to an environment.
        NodeAdd = "NODE_ADD",
        /// Changes nodes of an environment.
        NodeUpdate = "NODE_UPDATE",
        /// Replaces the machines of nodes of an environment, which stay what they are.
        NodeRedeploy = "NODE_REDEPLOY",
        /// Deletes nodes of an environment.
        NodeDelete = "NODE_DELETE",
        /// Powers nodes of an environment on or off.
        NodePower = "NODE_POWER",
        /// Installs certificates of products of an environment.
        CertificateUpdate = "CERTIFICATE_UPDATE",
        /// Adds what products of an environment work with.
        IntegrationAdd = "INTEGRATION_ADD",
        /// Changes what products of an environment work with.
        IntegrationUpdate = "INTEGRATION_UPDATE",
        /// Removes what products of an environment work with.
        IntegrationDelete = "INTEGRATION_DELETE",
        /// Deletes products of an environment.
        ProductDelete = "PRODUCT_DELETE",
    }
}

text_enum! {
    /// A step's name: what doing it, and undoing it, means.
    pub enum StepName {
        /// Asks once more whether the provider may provision the service: its contract may have changed meanwhile.
        CheckContract = "CHECK_CONTRACT",
        /// Has the service's driver provision it; undone by having it deprovisioned.
        Provision = "PROVISION",
        /// Has the service's driver change what the customer has; undone by having it changed back.
        Change = "CHANGE",
        /// Has the service's driver withhold the service; undone by having it given again.
        Suspend = "SUSPEND",
        /// Has the service's driver give the service again; undone by having it withheld.
        Resume = "RESUME",
        /// Has the service's driver take the service away; undone by having it brought back, where that can be.
        Deprovision = "DEPROVISION",
        /// Has the service broker make the service binding; undone by having it deleted.
        Bind = "BIND",
        /// Has the service broker delete the service binding.
        Unbind = "UNBIND",
        /// Puts the subscription in force.
        Activate = "ACTIVATE",
        /// Asks once more whether what was asked for can still be done: the world may have changed meanwhile.
        Check = "CHECK",
        /// Reaches the data center component through its target.
        Contact = "CONTACT",
        /// Writes down in the hub what the steps before it have come to.
        Record = "RECORD",
        /// Removes it from the hub.
        Remove = "REMOVE",
        /// Keeps what is upgraded as it is, to go back to; undone by letting go of that.
        Backup = "BACKUP",
        /// Makes the machines what they are to be; undone by making them what they were.
        Apply = "APPLY",
        /// Sees whether the machines are, or can become, what they are said to be.
        Verify = "VERIFY",
    }
}

impl TaskType {
    /// The steps of such a task, in order. They are stored with each task when it is created, so a task keeps the steps
    /// it began with when this list changes. The last one changes nothing but the hub's own data, in the transaction
    /// that ends the task: it never has to be undone, and no person has to do it.
    pub fn steps(self) -> &'static [StepName] {
        use StepName::*;
        match self {
            Self::SubscriptionProvision => &[CheckContract, Provision, Activate],
            Self::SubscriptionChange | Self::SubscriptionRenew => &[Check, Change, Record],
            Self::SubscriptionSuspend => &[Check, Suspend, Record],
            Self::SubscriptionResume => &[Check, Resume, Record],
            Self::SubscriptionTerminate => &[Check, Deprovision, Record],
            Self::ServiceBind => &[Check, Bind, Record],
            Self::ServiceUnbind => &[Check, Unbind, Remove],
            Self::DatacenterRegister | Self::DatacenterValidate | Self::DatacenterUpdate | Self::DatacenterDiscover => {
                &[Check, Contact, Record]
            }
            Self::DatacenterDelete => &[Check, Remove],
            Self::Upgrade => &[Check, Backup, Apply, Verify, Record],
            Self::EnvironmentDeploy
            | Self::NodeAdd
            | Self::NodeUpdate
            | Self::NodeRedeploy
            | Self::NodeDelete
            | Self::NodePower
            | Self::CertificateUpdate
            | Self::IntegrationAdd
            | Self::IntegrationUpdate
            | Self::IntegrationDelete
            | Self::ProductDelete => &[Check, Apply, Verify, Record],
            Self::EnvironmentImport | Self::EnvironmentValidate => &[Check, Verify, Record],
            Self::EnvironmentDelete => &[Check, Apply, Remove],
        }
    }

    /// What of the subject of such tasks may be read and written by whom.
    fn permissions(self) -> [Permission; 2] {
        match self {
            Self::SubscriptionProvision
            | Self::SubscriptionChange
            | Self::SubscriptionSuspend
            | Self::SubscriptionResume
            | Self::SubscriptionRenew
            | Self::SubscriptionTerminate
            | Self::ServiceBind
            | Self::ServiceUnbind => [Permission::SubscriptionRead, Permission::SubscriptionWrite],
            Self::DatacenterRegister
            | Self::DatacenterValidate
            | Self::DatacenterUpdate
            | Self::DatacenterDiscover
            | Self::DatacenterDelete => [Permission::DataCenterRead, Permission::DataCenterWrite],
            Self::EnvironmentDeploy
            | Self::EnvironmentImport
            | Self::EnvironmentValidate
            | Self::EnvironmentDelete
            | Self::Upgrade
            | Self::NodeAdd
            | Self::NodeUpdate
            | Self::NodeRedeploy
            | Self::NodeDelete
            | Self::NodePower
            | Self::CertificateUpdate
            | Self::IntegrationAdd
            | Self::IntegrationUpdate
            | Self::IntegrationDelete
            | Self::ProductDelete => [Permission::EnvironmentRead, Permission::EnvironmentWrite],
        }
    }

    /// What must be permitted to see such a task: to see its subject.
    pub fn needed_to_read(self) -> Permission {
        self.permissions()[0]
    }

    /// What must be permitted, beside [`Permission::TaskWrite`], to say something of such a task: to change its subject.
    pub fn needed_to_write(self) -> Permission {
        self.permissions()[1]
    }

    /// The version of the list above and of what its steps mean. Whoever changes either raises it, and keeps the steps
    /// of the versions before for the tasks that were written with them.
    pub const fn version(self) -> u32 {
        match self {
            // Its APPLY kept what there was itself, in version 1.
            Self::Upgrade => 2,
            _ => 1,
        }
    }
}

/// What a task works on. Tasks on one subject are done one after the other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Subject {
    /// A subscription.
    Subscription(Id<id::Subscription>),
    /// An environment.
    Environment(Id<id::Environment>),
    /// A data center component.
    DataCenter(Id<id::DataCenter>),
}

/// The subject's id: its prefix says what it is.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subscription(id) => id.fmt(f),
            Self::Environment(id) => id.fmt(f),
            Self::DataCenter(id) => id.fmt(f),
        }
    }
}

impl FromStr for Subject {
    type Err = id::NotAnId;

    fn from_str(text: &str) -> Result<Self, id::NotAnId> {
        match text.split('_').next() {
            Some("env") => text.parse().map(Self::Environment),
            Some("dtc") => text.parse().map(Self::DataCenter),
            _ => text.parse().map(Self::Subscription),
        }
    }
}

/// How many tasks may wait for one another on one subject. Whoever asks for more is asked to come back.
pub const MOST_WAITING: usize = 20;

text_enum! {
    /// Where a task stands. It follows from its steps.
    pub enum TaskStatus {
        /// No step was begun.
        NotStarted = "NOT_STARTED",
        /// Steps are being done or undone.
        InProgress = "IN_PROGRESS",
        /// A person has to do or undo a step and say so.
        Manual = "MANUAL",
        /// Every step is done.
        Success = "SUCCESS",
        /// A step failed, and what was done before it has been undone.
        Error = "ERROR",
        /// It was cancelled, and what was done has been undone.
        Cancelled = "CANCELLED",
    }
}

text_enum! {
    /// Where a step stands.
    pub enum StepStatus {
        /// Its turn has not come.
        NotStarted = "NOT_STARTED",
        /// It is its turn to be done.
        InProgress = "IN_PROGRESS",
        /// A person has to do it and say so.
        Manual = "MANUAL",
        /// It is done.
        Success = "SUCCESS",
        /// It failed and nothing of it remains.
        Error = "ERROR",
        /// It will not be done, because the task was cancelled.
        Cancelled = "CANCELLED",
        /// Whether it took effect is not known, for it was tried too often, or cancelled in its midst where nothing is
        /// undone; so where there is an undoing it is undone too.
        InDoubt = "IN_DOUBT",
        /// A person has to undo it and say so.
        UndoManual = "UNDO_MANUAL",
        /// It was done and has been undone.
        Undone = "UNDONE",
        /// It was done and could not be undone: something remains, which its message names.
        UndoFailed = "UNDO_FAILED",
    }
}

/// Which of a step's two halves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    /// Towards the goal.
    Do,
    /// Back, after a failure.
    Undo,
}

/// One half of one step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Turn {
    /// The step, counted from 0.
    pub step: usize,
    /// Which half of it.
    pub way: Way,
}

/// What is to happen next to a task.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Next {
    /// The hub is to take this turn.
    Take(Turn),
    /// A person is to take this turn and say how it went.
    Wait(Turn),
    /// Nothing: this is how the task has ended.
    Ended(TaskStatus),
}

/// What came of a turn.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It is done, or undone.
    Done,
    /// It is done, or undone, and the text says what is to be known of that.
    Noted(String),
    /// A person has to take the turn; the text says what they have to do.
    WaitForPerson(String),
    /// It cannot be done, and nothing of it remains; or it cannot be undone. The text says why.
    Failed(String),
    /// It was tried too often, and nobody knows whether it took effect. The text says what went wrong at last.
    GaveUp(String),
    /// It is under way elsewhere. The turn is taken again at that instant to look; the text says how far it is.
    LookAgain(Instant, String),
}

impl Outcome {
    /// What is to be said about it.
    pub fn message(&self) -> Option<&str> {
        match self {
            Self::Done => None,
            Self::Noted(text)
            | Self::WaitForPerson(text)
            | Self::Failed(text)
            | Self::GaveUp(text)
            | Self::LookAgain(_, text) => Some(text),
        }
    }
}

impl Turn {
    /// What an outcome of this turn makes of its step, which stands at `status`.
    pub fn settled(self, status: StepStatus, outcome: &Outcome) -> StepStatus {
        match (self.way, outcome) {
            (Way::Do, Outcome::LookAgain(..)) => StepStatus::InProgress,
            // What is still to be undone is found by where it stands.
            (Way::Undo, Outcome::LookAgain(..)) => status,
            (Way::Do, Outcome::Done | Outcome::Noted(_)) => StepStatus::Success,
            (Way::Do, Outcome::WaitForPerson(_)) => StepStatus::Manual,
            (Way::Do, Outcome::Failed(_)) => StepStatus::Error,
            (Way::Do, Outcome::GaveUp(_)) => StepStatus::InDoubt,
            (Way::Undo, Outcome::Done | Outcome::Noted(_)) if status == StepStatus::InDoubt => StepStatus::Error,
            (Way::Undo, Outcome::Done | Outcome::Noted(_)) => StepStatus::Undone,
            (Way::Undo, Outcome::WaitForPerson(_)) => StepStatus::UndoManual,
            (Way::Undo, Outcome::Failed(_) | Outcome::GaveUp(_)) => StepStatus::UndoFailed,
        }
    }
}

/// Whether a task whose steps stand like this goes towards its goal no more.
fn turned_round(steps: &[StepStatus]) -> bool {
    use StepStatus::*;
    steps.iter().any(|status| !matches!(status, NotStarted | InProgress | Manual | Success))
}

/// What is to happen next to a task whose steps stand like this. `rollback` says whether it is undone when it cannot
/// reach its goal.
pub fn next(steps: &[StepStatus], rollback: bool) -> Next {
    use StepStatus::*;
    let cancelled = steps.contains(&Cancelled) && !steps.contains(&Error);
    if turned_round(steps) && !rollback {
        return Next::Ended(if cancelled { TaskStatus::Cancelled } else { TaskStatus::Error });
    }
    if turned_round(steps) {
        // Whatever may have had an effect is undone, the latest first. A step in progress counts: a cancellation may
        // have come while it was being done.
        return match steps.iter().rposition(|status| matches!(status, InProgress | Manual | Success | InDoubt | UndoManual)) {
            Some(step) if steps[step] == UndoManual => Next::Wait(Turn { step, way: Way::Undo }),
            Some(step) => Next::Take(Turn { step, way: Way::Undo }),
            None if cancelled => Next::Ended(TaskStatus::Cancelled),
            None => Next::Ended(TaskStatus::Error),
        };
    }
    match steps.iter().position(|&status| status != Success) {
        Some(step) if steps[step] == Manual => Next::Wait(Turn { step, way: Way::Do }),
        Some(step) => Next::Take(Turn { step, way: Way::Do }),
        None => Next::Ended(TaskStatus::Success),
    }
}

/// The status of a task whose steps stand like this.
pub fn status(steps: &[StepStatus], rollback: bool) -> TaskStatus {
    match next(steps, rollback) {
        Next::Ended(status) => status,
        Next::Wait(_) => TaskStatus::Manual,
        Next::Take(_) if steps.iter().all(|&status| status == StepStatus::NotStarted) => TaskStatus::NotStarted,
        Next::Take(_) => TaskStatus::InProgress,
    }
}

/// The steps of a task that is cancelled while no runner is at it; `None` when there is nothing left to cancel, because
/// it goes back already, has ended, or is at its last step. What was not begun will not be done. A step that was begun
/// is undone, and where nothing is undone nobody knows how far it came.
pub fn cancel(steps: &[StepStatus], rollback: bool) -> Option<Vec<StepStatus>> {
    use StepStatus::*;
    if turned_round(steps) || !steps.contains(&NotStarted) {
        return None;
    }
    let cancelled = steps.iter().map(|&status| match status {
        NotStarted => Cancelled,
        InProgress | Manual if !rollback => InDoubt,
        other => other,
    });
    Some(cancelled.collect())
}

/// The step at which a task that ended before its goal, and was not undone, can go on; counted from 0.
pub fn checkpoint(steps: &[StepStatus], rollback: bool) -> Option<usize> {
    match next(steps, rollback) {
        Next::Ended(TaskStatus::Error | TaskStatus::Cancelled) if !rollback => {
            steps.iter().position(|&status| status != StepStatus::Success)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Default)]
    struct Story {
        /// The turns that the hub or a person took, in order, with what came of each.
        turns: Vec<(Turn, StepStatus)>,
        ended: Option<TaskStatus>,
        steps: Vec<StepStatus>,
    }

    /// Lets a task of `length` steps run, where `outcomes` says what comes of each turn; after them everything is done.
    fn run(length: usize, outcomes: &[u8]) -> Story {
        let mut story = Story { steps: vec![StepStatus::NotStarted; length], ..Story::default() };
        // A turn can be taken twice, when it is handed to a person, and a step has two of them; each look is one more.
        let most = 4 * length + outcomes.len();
        let mut outcomes = outcomes.iter().copied().chain(std::iter::repeat(0));
        for _ in 0..=most {
            let (turn, person) = match next(&story.steps, true) {
                Next::Ended(status) => {
                    story.ended = Some(status);
                    break;
                }
                Next::Take(turn) => (turn, false),
                Next::Wait(turn) => (turn, true),
            };
            let outcome = match (outcomes.next().unwrap_or_default() % 6, person) {
                (1, _) => Outcome::Failed("no".into()),
                (2, false) => Outcome::WaitForPerson("please".into()),
                (3, false) => Outcome::GaveUp("silence".into()),
                (5, _) => Outcome::Noted("mind this".into()),
                (4, false) => Outcome::LookAgain(Instant::default(), "half-way".into()),
                _ => Outcome::Done,
            };
            let settled = turn.settled(story.steps[turn.step], &outcome);
            story.steps[turn.step] = settled;
            if !matches!(outcome, Outcome::LookAgain(..)) {
                story.turns.push((turn, settled));
            }
        }
        story
    }

    proptest! {
        #[test]
        fn every_task_ends(length in 0usize..8, outcomes: Vec<u8>) {
            let story = run(length, &outcomes);
            let ended = story.ended.expect("it ends");
            prop_assert_eq!(status(&story.steps, true), ended);
            let succeeded = story.steps.iter().all(|&status| status == StepStatus::Success);
            prop_assert_eq!(ended == TaskStatus::Success, succeeded);
            prop_assert!(succeeded || ended == TaskStatus::Error);
            // Whatever took effect and remains is named.
            prop_assert!(succeeded || !story.steps.contains(&StepStatus::Success));
        }

        #[test]
        fn steps_are_done_in_order_and_none_after_a_failure(length in 1usize..8, outcomes: Vec<u8>) {
            let story = run(length, &outcomes);
            let done: Vec<usize> =
                story.turns.iter().filter(|(_, settled)| *settled == StepStatus::Success).map(|(turn, _)| turn.step).collect();
            prop_assert!(done.iter().copied().eq(0..done.len()));
            let failed = story.turns.iter().position(|(turn, settled)| {
                turn.way == Way::Do && matches!(settled, StepStatus::Error | StepStatus::InDoubt)
            });
            if let Some(failed) = failed {
                prop_assert!(story.turns[failed + 1..].iter().all(|(turn, _)| turn.way == Way::Undo));
            }
        }

        #[test]
        fn exactly_what_may_have_been_done_is_undone_in_reverse(length in 1usize..8, outcomes: Vec<u8>) {
            let story = run(length, &outcomes);
            let mut done: Vec<usize> = story
                .turns
                .iter()
                .filter(|(turn, settled)| turn.way == Way::Do && matches!(settled, StepStatus::Success | StepStatus::InDoubt))
                .map(|(turn, _)| turn.step)
                .collect();
            done.reverse();
            let undone: Vec<usize> = story
                .turns
                .iter()
                .filter(|(turn, settled)| turn.way == Way::Undo && *settled != StepStatus::UndoManual)
                .map(|(turn, _)| turn.step)
                .collect();
            if story.ended == Some(TaskStatus::Success) {
                prop_assert!(undone.is_empty());
            } else {
                prop_assert_eq!(undone, done);
            }
        }

        #[test]
        fn a_cancelled_task_is_undone_and_ends_cancelled(done in 0usize..4, rest in 1usize..4) {
            let mut steps = vec![StepStatus::Success; done];
            steps.extend(vec![StepStatus::Cancelled; rest]);
            for step in (0..done).rev() {
                prop_assert_eq!(next(&steps, true), Next::Take(Turn { step, way: Way::Undo }));
                steps[step] = Turn { step, way: Way::Undo }.settled(steps[step], &Outcome::Done);
            }
            prop_assert_eq!(next(&steps, true), Next::Ended(TaskStatus::Cancelled));
        }
    }

    proptest! {
        /// Steps as a task may have them before it turns round: some done, one under way, the rest not begun.
        #[test]
        fn cancelling_ends_a_task_without_another_step_done(done in 0usize..4, at in 0u8..3, rest in 0usize..4, rollback: bool) {
            let mut steps = vec![StepStatus::Success; done];
            steps.extend([None, Some(StepStatus::InProgress), Some(StepStatus::Manual)][usize::from(at)]);
            steps.extend(vec![StepStatus::NotStarted; rest]);
            let Some(mut cancelled) = cancel(&steps, rollback) else {
                prop_assert_eq!(rest, 0);
                return Ok(());
            };
            for _ in 0..=steps.len() {
                let Next::Take(turn) = next(&cancelled, rollback) else { break };
                prop_assert_eq!(turn.way, Way::Undo);
                cancelled[turn.step] = turn.settled(cancelled[turn.step], &Outcome::Done);
            }
            prop_assert_eq!(next(&cancelled, rollback), Next::Ended(TaskStatus::Cancelled));
            prop_assert_eq!(cancel(&cancelled, rollback), None);
            // Undone, nothing remains; not undone, it can go on where it stopped.
            prop_assert_eq!(cancelled.contains(&StepStatus::Success), !rollback && done > 0);
            prop_assert_eq!(checkpoint(&cancelled, rollback), (!rollback).then_some(done));
        }

        #[test]
        fn without_rollback_a_failure_ends_a_task_at_its_checkpoint(done in 0usize..4, rest in 0usize..4, gave_up: bool) {
            let mut steps = vec![StepStatus::Success; done];
            steps.push(if gave_up { StepStatus::InDoubt } else { StepStatus::Error });
            steps.extend(vec![StepStatus::NotStarted; rest]);
            prop_assert_eq!(next(&steps, false), Next::Ended(TaskStatus::Error));
            prop_assert_eq!(checkpoint(&steps, false), Some(done));
            prop_assert_eq!(checkpoint(&steps, true), None);
        }
    }

    #[test]
    fn a_subject_survives_its_text() {
        let uuid = uuid::Uuid::from_u128(7);
        for subject in [
            Subject::Subscription(Id::from_uuid(uuid)),
            Subject::Environment(Id::from_uuid(uuid)),
            Subject::DataCenter(Id::from_uuid(uuid)),
        ] {
            assert_eq!(subject.to_string().parse(), Ok(subject));
        }
        assert!("org_01h455vb4pex5vsknk084sn02q".parse::<Subject>().is_err() && "".parse::<Subject>().is_err());
    }

    #[test]
    fn the_status_of_a_task_follows_from_its_steps() {
        use StepStatus::*;
        for (steps, expected) in [
            (vec![NotStarted, NotStarted], TaskStatus::NotStarted),
            (vec![InProgress, NotStarted], TaskStatus::InProgress),
            (vec![Success, NotStarted], TaskStatus::InProgress),
            (vec![Success, Manual], TaskStatus::Manual),
            (vec![Success, Error], TaskStatus::InProgress),
            (vec![UndoManual, Error], TaskStatus::Manual),
            (vec![Undone, Error], TaskStatus::Error),
            (vec![UndoFailed, Error], TaskStatus::Error),
            (vec![Undone, Cancelled], TaskStatus::Cancelled),
            (vec![Success, Success], TaskStatus::Success),
        ] {
            assert_eq!(status(&steps, true), expected, "{steps:?}");
        }
    }

    #[test]
    fn every_type_has_steps_of_different_names() {
        for task_type in TaskType::ALL {
            let mut names = task_type.steps().to_vec();
            names.sort();
            names.dedup();
            assert!(!names.is_empty() && names.len() == task_type.steps().len(), "{task_type}");
        }
    }
}
