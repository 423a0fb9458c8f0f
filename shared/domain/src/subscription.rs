//! Subscriptions: services that customers have, and what may be done to them when.

use crate::{
    Error, Result,
    task::{StepStatus, TaskStatus, TaskType},
    text_enum,
};

text_enum! {
    /// Where a subscription stands.
    pub enum SubscriptionStatus {
        /// Its task is at work.
        Provisioning = "PROVISIONING",
        /// The customer has the service.
        Active = "ACTIVE",
        /// What the customer has of the service is being changed.
        Changing = "CHANGING",
        /// The service is being withheld.
        Suspending = "SUSPENDING",
        /// The service is withheld from the customer, and nothing of it is lost.
        Suspended = "SUSPENDED",
        /// The service is being given again.
        Resuming = "RESUMING",
        /// It is being renewed for another term.
        Renewing = "RENEWING",
        /// The service is being taken away for good.
        Terminating = "TERMINATING",
        /// The customer has the service no more. This is the end.
        Terminated = "TERMINATED",
        /// A task on it ended half-way and was not undone: what the customer has is between the two.
        Error = "ERROR",
        /// It could not be provisioned, and what was done for it has been undone.
        Failed = "FAILED",
    }
}

impl SubscriptionStatus {
    /// Whether the customer has it, withheld or not, and no task is at work on it.
    pub fn is_at_rest(self) -> bool {
        matches!(self, Self::Active | Self::Suspended)
    }

    /// Whether whoever has the subscription counts on its service and plan.
    pub fn is_in_use(self) -> bool {
        !matches!(self, Self::Failed | Self::Terminated)
    }
}

text_enum! {
    /// What is done to a subscription that there is, each by a task of its own.
    pub enum SubscriptionAction {
        /// Another plan, quantity or other properties.
        Change = "CHANGE",
        /// Withhold the service.
        Suspend = "SUSPEND",
        /// Give the service again.
        Resume = "RESUME",
        /// Another term, with what was to change then.
        Renew = "RENEW",
        /// Take the service away for good.
        Terminate = "TERMINATE",
    }
}

/// One row of the table of what may be done to a subscription.
pub struct Rule {
    /// What is done.
    pub action: SubscriptionAction,
    /// The task that does it.
    pub task_type: TaskType,
    /// Where the subscription may stand then.
    pub from: &'static [SubscriptionStatus],
    /// Where it stands meanwhile.
    pub during: SubscriptionStatus,
    /// Where it stands afterwards; where it stood before, if that is absent.
    pub after: Option<SubscriptionStatus>,
}

use SubscriptionStatus::{
    Active, Changing, Failed, Provisioning, Renewing, Resuming, Suspended, Suspending, Terminated, Terminating,
};

/// The table.
pub const RULES: &[Rule] = &[
    Rule {
        action: SubscriptionAction::Change,
        task_type: TaskType::SubscriptionChange,
        from: &[Active],
        during: Changing,
        after: None,
    },
    Rule {
        action: SubscriptionAction::Suspend,
        task_type: TaskType::SubscriptionSuspend,
        from: &[Active],
        during: Suspending,
        after: Some(Suspended),
    },
    Rule {
        action: SubscriptionAction::Resume,
        task_type: TaskType::SubscriptionResume,
        from: &[Suspended],
        during: Resuming,
        after: Some(Active),
    },
    Rule {
        action: SubscriptionAction::Renew,
        task_type: TaskType::SubscriptionRenew,
        from: &[Active, Suspended],
        during: Renewing,
        after: None,
    },
    Rule {
        action: SubscriptionAction::Terminate,
        task_type: TaskType::SubscriptionTerminate,
        from: &[Active, Suspended, Failed, SubscriptionStatus::Error],
        during: Terminating,
        after: Some(Terminated),
    },
];

impl SubscriptionAction {
    /// Its row in the table.
    pub fn rule(self) -> &'static Rule {
        // Every action has a row: a test counts them.
        RULES.iter().find(|rule| rule.action == self).unwrap_or(&RULES[RULES.len() - 1])
    }

    /// What a task of this type does, if it is something that is done to a subscription that there is.
    pub fn of(task_type: TaskType) -> Option<Self> {
        RULES.iter().find(|rule| rule.task_type == task_type).map(|rule| rule.action)
    }

    /// Refuses where it may not be done to a subscription that stands there, and says what may be done instead.
    pub fn check(self, status: SubscriptionStatus) -> Result<()> {
        if self.rule().from.contains(&status) {
            return Ok(());
        }
        let way = match status {
            Active => "it is not suspended, so there is nothing to give again",
            Suspended => "resume it first",
            Terminated => "that is the end; ask for another subscription",
            Failed => "it was never provisioned; ask for another subscription, or restart its task",
            SubscriptionStatus::Error => {
                "its last task ended half-way; resume or restart that task, or terminate the subscription"
            }
            Provisioning | Changing | Suspending | Resuming | Renewing | Terminating => {
                "a task is at work on it; wait for that to end, or cancel it"
            }
        };
        Err(Error::conflict(
            "subscription_status",
            format!("The subscription is {status}, where {self} is not possible: {way}. Its taskId names its last task."),
        ))
    }

    /// The same for a change, where the subscription may only be moved to another contract: then it may be withheld meanwhile, for it
    /// could not be given again before.
    pub fn check_to(self, status: SubscriptionStatus, moves: bool) -> Result<()> {
        if moves && self == Self::Change && status.is_at_rest() { Ok(()) } else { self.check(status) }
    }

    /// Where a subscription stands when the task that does this has ended, with its steps like this, and it stood `before` it.
    pub fn settled(self, before: SubscriptionStatus, ended: TaskStatus, steps: &[StepStatus]) -> SubscriptionStatus {
        if ended == TaskStatus::Success {
            return self.rule().after.unwrap_or(before);
        }
        // The first step only looks; a step that failed has left nothing.
        let remains = |step: &StepStatus| matches!(step, StepStatus::Success | StepStatus::InDoubt | StepStatus::UndoFailed);
        if steps.iter().skip(1).any(remains) { SubscriptionStatus::Error } else { before }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{Next, Outcome, Turn, Way, next};
    use proptest::prelude::*;

    #[test]
    fn every_action_has_one_row() {
        for &action in SubscriptionAction::ALL {
            assert_eq!(RULES.iter().filter(|rule| rule.action == action).count(), 1, "{action}");
            assert_eq!(SubscriptionAction::of(action.rule().task_type), Some(action));
            // What is under way is never where another action begins, so no two are under way at once.
            assert!(RULES.iter().all(|rule| !rule.from.contains(&action.rule().during)), "{action}");
        }
        assert_eq!(SubscriptionAction::of(TaskType::SubscriptionProvision), None);
    }

    #[test]
    fn what_has_ended_stays_ended() {
        for &action in SubscriptionAction::ALL {
            let refused = action.check(Terminated).unwrap_err();
            assert!(refused.public.contains("ask for another"), "{}", refused.public);
        }
        assert!(!Terminated.is_in_use() && !Failed.is_in_use() && Suspended.is_in_use());
    }

    #[test]
    fn every_refusal_says_what_to_do() {
        for &action in SubscriptionAction::ALL {
            for &status in SubscriptionStatus::ALL {
                match action.check(status) {
                    Ok(()) => assert!(action.rule().from.contains(&status)),
                    Err(error) => assert!(error.code == "subscription_status" && error.public.contains(status.as_str())),
                }
            }
        }
    }

    proptest! {
        /// Whatever is done, in whatever order and however its tasks end: a subscription is never left under way, it is taken
        /// away at most once, and where it was not undone it says so.
        #[test]
        fn a_subscription_comes_to_rest(deeds in prop::collection::vec((0usize..5, prop::collection::vec(0u8..5, 0..8), any::<bool>()), 0..12)) {
            let mut status = Active;
            for (which, outcomes, rollback) in deeds {
                let action = SubscriptionAction::ALL[which];
                let before = status;
                if action.check(status).is_err() {
                    continue;
                }
                prop_assert!(before != Terminated);
                let mut steps = vec![StepStatus::NotStarted; action.rule().task_type.steps().len()];
                let mut outcomes = outcomes.into_iter().chain(std::iter::repeat(0));
                let ended = loop {
                    let turn = match next(&steps, rollback) {
                        Next::Ended(ended) => break ended,
                        Next::Take(turn) | Next::Wait(turn) => turn,
                    };
                    let outcome = match outcomes.next() {
                        Some(1) => Outcome::Failed("no".into()),
                        Some(2) => Outcome::GaveUp("silence".into()),
                        _ => Outcome::Done,
                    };
                    steps[turn.step] = turn.settled(steps[turn.step], &outcome);
                };
                status = action.settled(before, ended, &steps);
                prop_assert!(RULES.iter().all(|rule| rule.during != status), "{status}");
                match ended {
                    TaskStatus::Success => prop_assert_eq!(status, action.rule().after.unwrap_or(before)),
                    _ => prop_assert!(status == before || status == SubscriptionStatus::Error),
                }
                let undone = steps[1..].iter().all(|step| !matches!(step, StepStatus::Success | StepStatus::InDoubt | StepStatus::UndoFailed));
                prop_assert!(ended == TaskStatus::Success || undone == (status == before) || before == SubscriptionStatus::Error);
            }
        }

        #[test]
        fn a_step_that_is_undone_leaves_it_where_it_stood(which in 0usize..5) {
            let action = SubscriptionAction::ALL[which];
            for &before in action.rule().from {
                let steps = [StepStatus::Undone, StepStatus::Undone, StepStatus::Error];
                prop_assert_eq!(action.settled(before, TaskStatus::Error, &steps), before);
                let turn = Turn { step: 1, way: Way::Undo };
                let stuck = [StepStatus::Undone, turn.settled(StepStatus::Success, &Outcome::Failed("no".into())), StepStatus::Error];
                prop_assert_eq!(action.settled(before, TaskStatus::Error, &stuck), SubscriptionStatus::Error);
            }
        }
    }
}
