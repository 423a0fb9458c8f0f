//! Asking a vCenter: with a bound on everything that it could make too long.

use http::Method;
use std::time::Duration;
use web::outbound::{self, NoAnswer, Outgoing};

/// How long one answer may take, its body included.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// An answer has so many bytes at most.
const LENGTH: u64 = 8 * 1024 * 1024;
/// It is not asked again sooner, nor left alone for longer, than so many seconds, whatever it says.
const PAUSES: (u32, u32) = (1, 600);

/// Why what was asked for did not come.
#[derive(Debug)]
pub enum Wrong {
    /// It would be the same another time; what to do about it.
    Settled(String),
    /// Something broke, and nobody knows whether what was asked for was done.
    Broken(String),
    /// It wants to be left alone for so many seconds, and has done nothing.
    Busy(u32),
    /// It refuses, for a reason that has this name.
    Refused { kind: String, message: String },
}

impl From<NoAnswer> for Wrong {
    fn from(error: NoAnswer) -> Self {
        match error {
            NoAnswer::Denied => Self::Settled(
                "The hub may not reach the vCenter: set the variable vcenter_hosts to where it is and start the hub again."
                    .to_owned(),
            ),
            NoAnswer::TimeOut => Self::Broken("The vCenter did not answer in time.".to_owned()),
            NoAnswer::Unreached(why) | NoAnswer::Broken(why) => {
                Self::Broken(format!("The vCenter cannot be reached, or its answer broke off ({why})."))
            }
        }
    }
}

impl Wrong {
    /// Whether it refuses for one of these reasons.
    pub fn is(&self, kinds: &[&str]) -> bool {
        matches!(self, Self::Refused { kind, .. } if kinds.contains(&kind.as_str()))
    }
}

/// An answer.
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// The cookies that it sets, as they are to be sent back.
    pub cookie: Option<String>,
    /// Its body.
    pub body: Vec<u8>,
}

/// Sends a request and reads the whole answer. Answers by which a vCenter wants to be left alone are [`Wrong::Busy`].
pub async fn send(
    method: Method,
    url: &str,
    headers: Vec<(&str, String)>,
    body: String,
    patience: Duration,
) -> Result<Answer, Wrong> {
    let asked = async {
        let answered = outbound::send(Outgoing { method, url, headers, body: body.into_bytes() }).await?;
        let (status, cookie) = (answered.status(), answered.header("set-cookie"));
        let pause = answered.header("retry-after").and_then(|text| text.trim().parse::<u32>().ok());
        let mut body = Vec::new();
        let length = answered.read(LENGTH, |piece| body.extend_from_slice(piece)).await?;
        Ok((Answer { status, cookie, body }, pause, length))
    };
    let (answer, pause, length) = outbound::within(patience, asked).await?;
    if length > LENGTH {
        return Err(Wrong::Broken(format!("The vCenter answers with more than {LENGTH} bytes.")));
    }
    match answer.status {
        429 | 503 => Err(Wrong::Busy(pause.unwrap_or(5).clamp(PAUSES.0, PAUSES.1))),
        502 | 504 => Err(Wrong::Broken(format!("The vCenter answers {}.", answer.status))),
        300..=399 => Err(Wrong::Settled(format!(
            "The vCenter answers {}, which leads elsewhere and is not followed. Register where that leads.",
            answer.status
        ))),
        _ => Ok(answer),
    }
}
