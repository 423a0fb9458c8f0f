//! What can go wrong, said without naming a transport.
//!
//! An [`Error`] has two texts. The public one is for the caller: it says what was wrong and what to do. The internal
//! one is for the log and never leaves the hub. `web` turns the [`Kind`] into a status at the last step.

use std::fmt;

/// The result of a rule or of a store function.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The code of a fault that does not pass by itself.
const INTERNAL_FAULT: &str = "internal_fault";

/// The classes of failure that a caller can tell apart by what to do next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// The request cannot be read at all: syntax, an id of the wrong shape, a cursor that was not ours.
    Malformed,
    /// Nobody is known by the credentials given, or none were given.
    Unauthenticated,
    /// The caller is known and may see the thing, but may not do this.
    Forbidden,
    /// It does not exist, or the caller may not know that it does.
    NotFound,
    /// It clashes with the state things are in; the same request may succeed later.
    Conflict,
    /// The caller's copy is older than ours (If-Match).
    Stale,
    /// A condition (If-Match) is required here and was not given.
    ConditionRequired,
    /// Understood, and against a rule: see the field errors.
    Invalid,
    /// Too often; see after how many seconds it may be tried again.
    TooMany,
    /// A fault of ours or of something we need. Nothing was changed, unless the code is `outcome_unknown`; [`Error::passes`] says
    /// whether the request can be repeated.
    Unavailable,
}

/// One field that is against a rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FieldError {
    /// A JSON Pointer (RFC 6901) into the request, for example `/lines/3/price`.
    pub pointer: String,
    /// What is wrong with it and what would be right.
    pub detail: String,
}

/// A failure with a stable code, a text for the caller and, at times, one for the log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Error {
    /// What to do about it, roughly.
    pub kind: Kind,
    /// Stable and machine-readable, `snake_case`; part of the API.
    pub code: &'static str,
    /// For the caller: what was wrong and what to do.
    pub public: String,
    /// For the log only.
    pub internal: Option<String>,
    /// Which fields, when the request's content is at fault.
    pub fields: Vec<FieldError>,
    /// After how many seconds to try again, when that is known.
    pub retry_after: Option<u32>,
}

impl Error {
    /// An error of any kind.
    pub fn new(kind: Kind, code: &'static str, public: impl Into<String>) -> Self {
        Self { kind, code, public: public.into(), internal: None, fields: Vec::new(), retry_after: None }
    }

    /// The request cannot be read.
    pub fn malformed(code: &'static str, public: impl Into<String>) -> Self {
        Self::new(Kind::Malformed, code, public)
    }

    /// There is no such `noun` within the caller's reach. The answer is the same whether it exists elsewhere or not.
    pub fn not_found(code: &'static str, noun: &str, id: impl fmt::Display) -> Self {
        Self::new(
            Kind::NotFound,
            code,
            format!(
                "There is no {noun} {id} in the organizations you can act in. Check the id, or act in another organization with the Hub-Organization header."
            ),
        )
    }

    /// It clashes with the present state.
    pub fn conflict(code: &'static str, public: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, code, public)
    }

    /// One field is against a rule.
    pub fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::invalid_fields(vec![FieldError { pointer: pointer.into(), detail: detail.into() }])
    }

    /// Several fields are against rules; `fields` must not be empty.
    pub fn invalid_fields(fields: Vec<FieldError>) -> Self {
        let public = match fields.as_slice() {
            [one] if one.pointer.is_empty() => one.detail.clone(),
            [one] => format!("{}: {}", one.pointer, one.detail),
            many => format!("{} fields are against the rules; see errors. Correct them and send the request again.", many.len()),
        };
        Self { fields, ..Self::new(Kind::Invalid, "invalid_request", public) }
    }

    /// It was tried too often, and may be tried again after so many seconds.
    pub fn too_many(code: &'static str, public: impl Into<String>, retry_after: u32) -> Self {
        Self { retry_after: Some(retry_after), ..Self::new(Kind::TooMany, code, public) }
    }

    /// A fault that the caller cannot mend; `internal` is for the log.
    pub fn unavailable(internal: impl Into<String>) -> Self {
        Self {
            internal: Some(internal.into()),
            ..Self::new(
                Kind::Unavailable,
                "temporarily_unavailable",
                "The hub could not do this just now and has changed nothing. Send the same request again in a moment, with the same Idempotency-Key if it had one.",
            )
        }
    }

    /// A fault that does not pass by itself: a defect of ours, or a database that holds what it should not. `internal` is for the log.
    pub fn fault(internal: impl Into<String>) -> Self {
        Self {
            internal: Some(internal.into()),
            ..Self::new(
                Kind::Unavailable,
                INTERNAL_FAULT,
                "The hub met a fault of its own and has changed nothing. To send the request again will not help: report the fault with the requestId of this answer.",
            )
        }
    }

    /// A fault while a change was being committed: it may have been made or not. `internal` is for the log.
    pub fn outcome_unknown(internal: impl Into<String>) -> Self {
        Self {
            internal: Some(internal.into()),
            ..Self::new(
                Kind::Unavailable,
                "outcome_unknown",
                "The database failed while it stored this, so it may have been done. If the request had an Idempotency-Key, send it again with the same key: it is then done exactly once. Otherwise look first whether it was done.",
            )
        }
    }

    /// Whether it is a fault that passes: the same request can be sent again.
    pub fn passes(&self) -> bool {
        self.kind == Kind::Unavailable && self.code != INTERNAL_FAULT
    }

    /// Adds what the log should know.
    pub fn with_internal(mut self, internal: impl Into<String>) -> Self {
        self.internal = Some(internal.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.public)?;
        if let Some(internal) = &self.internal {
            write!(f, " ({internal})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
