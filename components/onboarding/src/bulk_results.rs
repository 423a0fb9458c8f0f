//! 207: the outcome of a request for many people, person by person.

use domain::{Error, Id, JsonSchema, Kind, Result, id, person::Email};
use serde::Serialize;
use web::{Answer, Reply};

/// What was done and what was not. A failure has changed nothing for that person.
#[derive(Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Results<T> {
    /// The people for whom it was done.
    pub succeeded: T,
    /// The people for whom it was not done, and why.
    pub failed: Vec<Failed>,
}

/// A person for whom it was not done, and why.
#[derive(Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Failed {
    /// The mail address, when the request named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<Email>,
    /// The id, when the request named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    person_id: Option<Id<id::Person>>,
    /// Stable and machine-readable, as in problems.
    code: &'static str,
    /// What was wrong, and what to do.
    detail: String,
}

impl Failed {
    /// A person named by mail address.
    pub fn email(email: &Email) -> Self {
        Self { email: Some(email.clone()), ..Self::default() }
    }

    /// A person named by id.
    pub fn person(person: Id<id::Person>) -> Self {
        Self { person_id: Some(person), ..Self::default() }
    }
}

impl<T> Results<T> {
    /// Notes a refusal. A fault is no refusal: it ends the whole request, which then has changed nothing.
    pub fn note(&mut self, outcome: Result<()>, who: Failed) -> Result<()> {
        match outcome {
            Ok(()) => Ok(()),
            Err(error) if error.kind == Kind::Unavailable => Err(error),
            Err(Error { code, public, .. }) => {
                self.failed.push(Failed { code, detail: public, ..who });
                Ok(())
            }
        }
    }
}

impl<T: Serialize + JsonSchema> Reply for Results<T> {
    fn into_answer(self) -> Result<Answer> {
        Answer::json(207, &self)
    }
}

#[cfg(not(target_family = "wasm"))]
impl<T: JsonSchema> web::Describe for Results<T> {
    fn describe(operation: &mut web::openapi::Operation<'_>) {
        operation.answers::<Self>(207, "The outcome, person by person.");
    }
}
