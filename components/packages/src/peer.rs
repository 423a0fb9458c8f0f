//! Asking a package repository: with a bound on everything that it could make too long.

use http::{Method, StatusCode};
use std::time::Duration;
use web::outbound::{self, Answered, NoAnswer, Outgoing};

/// How long one answer may take, its body included.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why what was asked for did not come.
#[derive(Debug)]
pub enum Wrong {
    /// It would be the same another time; what to do about it.
    Settled(String),
    /// Something broke; worth another attempt.
    Fault(String),
}

impl From<NoAnswer> for Wrong {
    fn from(error: NoAnswer) -> Self {
        match error {
            NoAnswer::Denied => Self::Settled(
                "The hub may not reach it: set the variable package_repository to its host and start the hub again.".to_owned(),
            ),
            NoAnswer::TimeOut => Self::Fault(format!("The repository did not answer within {} seconds.", PATIENCE.as_secs())),
            NoAnswer::Broken(why) | NoAnswer::Unreached(why) => {
                Self::Fault(format!("The repository cannot be reached, or its answer broke off ({why})."))
            }
        }
    }
}

/// Asks for a URL, or for the bytes `from` to `to` of it, and does with the answer what `read` says, all within the time
/// there is for it.
pub async fn get<T>(
    url: &str,
    range: Option<(u64, u64)>,
    read: impl AsyncFnOnce(Answered) -> Result<T, NoAnswer>,
) -> Result<T, Wrong> {
    let mut headers = vec![("accept-encoding", "identity".to_owned())];
    if let Some((from, to)) = range {
        headers.push(("range", format!("bytes={from}-{to}")));
    }
    let asked = async {
        let request = Outgoing { method: Method::GET, url, headers, body: Vec::new() };
        read(outbound::send(request).await?).await
    };
    Ok(outbound::within(PATIENCE, asked).await?)
}

/// What an answer without what was asked for means.
pub fn refusal(status: u16) -> Wrong {
    let text = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("?");
    match status {
        408 | 425 | 429 | 500..=599 => Wrong::Fault(format!("The repository answers {status} ({text}).")),
        300..=399 => Wrong::Settled(format!(
            "The repository answers {status} ({text}), which leads elsewhere and is not followed. Register the URL that it leads to."
        )),
        _ => Wrong::Settled(format!("The repository answers {status} ({text}).")),
    }
}
