//! Branding: how the hub presents itself in an organization, inherited field by field from those above.

use crate::{Id, JsonSchema, List, OrganizationKind, Text, id, json};
use std::{fmt, str::FromStr};

/// The address of a page or an image on the web: `https`, at most 2,000 characters, without user or password.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpsUrl(String);

impl FromStr for HttpsUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix("https://").unwrap_or_default();
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let allowed = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
        let of_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-:".contains(&byte);
        let is_host = host.starts_with(|first: char| first.is_ascii_alphanumeric()) && host.bytes().all(of_host);
        if text.len() > 2_000 || !is_host || !rest.bytes().all(allowed) {
            return Err(
                "not a web address of at most 2000 characters; write it as https://example.com/logo.svg, without user and password",
            );
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for HttpsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl json::Shown for HttpsUrl {
    fn schema() -> serde_json::Value {
        serde_json::json!({
            "type": "string", "maxLength": 2000, "pattern": r#"^https://[A-Za-z0-9][A-Za-z0-9.:-]*([/?#][!#-;=?-\[\]_a-z~]*)?$"#,
            "examples": ["https://example.com/logo.svg"],
        })
    }
}
json::as_text!(HttpsUrl);

/// A color of the web, `#RRGGBB` in hexadecimal; kept in lower case.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Color(String);

impl FromStr for Color {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix('#') {
            Some(digits) if digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                Ok(Self(text.to_ascii_lowercase()))
            }
            _ => Err("not a color; write it as #1a73e8"),
        }
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl json::Shown for Color {
    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": "string", "pattern": "^#[0-9A-Fa-f]{6}$", "examples": ["#1a73e8"] })
    }
}
json::as_text!(Color);

/// A link that the portal shows.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Link {
    /// What it says.
    pub title: Text<1, 80>,
    /// Where it leads.
    pub url: HttpsUrl,
}

/// The fields of a branding, once for what an organization says itself, once for what holds in it.
macro_rules! branding {
    ($($(#[$doc:meta])* $field:ident: $type:ty,)+) => {
        /// What an organization says of its own branding; what is left out is inherited.
        #[derive(Clone, Debug, Default, Eq, PartialEq, serde::Deserialize, serde::Serialize, JsonSchema)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub struct Branding {
            $($(#[$doc])* pub $field: Option<$type>,)+
        }

        /// The branding that holds in an organization: of each field the nearest that is said, by itself or by one above it.
        #[derive(Clone, Debug, Default, Eq, PartialEq, serde::Serialize, JsonSchema)]
        #[serde(rename_all = "camelCase")]
        pub struct EffectiveBranding {
            $($(#[$doc])* pub $field: Option<BrandingField<$type>>,)+
        }

        impl EffectiveBranding {
            /// What holds where these are said, the nearest first.
            pub fn of(said: Vec<(BrandingSource, Branding)>) -> Self {
                let mut effective = Self::default();
                for (from, branding) in said {
                    $(if let (None, Some(value)) = (&effective.$field, branding.$field) {
                        effective.$field = Some(BrandingField { value, from: from.clone() });
                    })+
                }
                effective
            }
        }
    };
}

branding! {
    /// What the portal is called.
    portal_name: Text<1, 80>,
    /// The logo.
    logo_url: HttpsUrl,
    /// The browser's icon.
    icon_url: HttpsUrl,
    /// The color of what stands out.
    primary_color: Color,
    /// The color behind everything.
    background_color: Color,
    /// Links that the portal shows, at most ten. They are inherited together.
    links: List<Link, 10>,
}

/// Where a field of an effective branding is from.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BrandingSource {
    /// Which organization says it; absent when that one is out of the caller's reach.
    pub organization_id: Option<Id<id::Organization>>,
    /// What kind of organization that is.
    pub organization_kind: OrganizationKind,
}

/// A field of an effective branding.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct BrandingField<T> {
    /// What holds.
    pub value: T,
    /// Who says so.
    pub from: BrandingSource,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_web_are_taken() {
        for right in ["https://a.b", "https://a.b:8443/c?d=e#f", "https://example.com/%20"] {
            assert!(right.parse::<HttpsUrl>().is_ok(), "{right}");
        }
        for wrong in [
            "",
            "https://",
            "http://a.b",
            "https://u:p@a.b",
            "https:///x",
            "https://a b",
            "javascript:alert(1)",
            "https://a.b/\"onload=",
            "https://a.b\\@c.d",
            "https://ä.de",
        ] {
            assert!(wrong.parse::<HttpsUrl>().is_err(), "{wrong}");
        }
        assert!(format!("https://a.b/{}", "x".repeat(2_000)).parse::<HttpsUrl>().is_err());
        assert_eq!("#1A73E8".parse::<Color>().unwrap().to_string(), "#1a73e8");
        for wrong in ["", "1a73e8", "#1a73e", "#1a73e8f", "#gggggg", "red"] {
            assert!(wrong.parse::<Color>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn each_field_is_the_nearest_that_is_said() {
        let source = |kind| BrandingSource { organization_id: None, organization_kind: kind };
        let near = Branding { portal_name: Some("Near".parse().unwrap()), ..Default::default() };
        let far = Branding {
            portal_name: Some("Far".parse().unwrap()),
            primary_color: Some("#000000".parse().unwrap()),
            ..Default::default()
        };
        let effective =
            EffectiveBranding::of(vec![(source(OrganizationKind::Customer), near), (source(OrganizationKind::Provider), far)]);
        let name = effective.portal_name.unwrap();
        assert_eq!((&*name.value, name.from.organization_kind), ("Near", OrganizationKind::Customer));
        assert_eq!(effective.primary_color.unwrap().from.organization_kind, OrganizationKind::Provider);
        assert_eq!(effective.logo_url, None);
    }
}
