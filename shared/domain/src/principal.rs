//! Who can be behind a request: a person or a machine.

use crate::{
    Id,
    id::{ApiToken, App, Noun, Person},
    json,
};
use std::{fmt, str::FromStr};

/// The id of whoever asks. Bindings, access tokens, kept answers and the audit name a principal by it, of whichever kind.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum PrincipalId {
    /// A person, signed in.
    Person(Id<Person>),
    /// An API token, exchanged for an access token.
    ApiToken(Id<ApiToken>),
    /// An app with client credentials.
    App(Id<App>),
}

impl fmt::Display for PrincipalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(id) => id.fmt(f),
            Self::ApiToken(id) => id.fmt(f),
            Self::App(id) => id.fmt(f),
        }
    }
}

impl FromStr for PrincipalId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let prefix = text.split('_').next().unwrap_or_default();
        let id = match prefix {
            Person::PREFIX => text.parse().map(Self::Person),
            App::PREFIX => text.parse().map(Self::App),
            _ => text.parse().map(Self::ApiToken),
        };
        id.map_err(|error| match [Person::PREFIX, App::PREFIX, ApiToken::PREFIX].contains(&prefix) {
            true => error.to_string(),
            false => "not the id of a person (per_…), an API token (tok_…) or an app (app_…)".into(),
        })
    }
}

impl json::Shown for PrincipalId {
    fn schema() -> serde_json::Value {
        serde_json::json!({
            "type": "string",
            "pattern": "^(per|tok|app)_[0-7][0-9a-hjkmnp-tv-z]{25}$",
            "description": "The id of a person, an API token or an app.",
        })
    }
}
json::as_text!(PrincipalId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_says_which_kind_it_is() {
        let suffix = "01h455vb4pex5vsknk084sn02q";
        for (prefix, person, app) in [("per", true, false), ("tok", false, false), ("app", false, true)] {
            let id: PrincipalId = format!("{prefix}_{suffix}").parse().unwrap();
            assert_eq!(id.to_string(), format!("{prefix}_{suffix}"));
            assert_eq!((matches!(id, PrincipalId::Person(_)), matches!(id, PrincipalId::App(_))), (person, app));
        }
        for wrong in ["", "per", "per_", "org_01h455vb4pex5vsknk084sn02q", "per_01h455vb4pex5vsknk084sn02"] {
            assert!(wrong.parse::<PrincipalId>().is_err(), "{wrong}");
        }
    }
}
