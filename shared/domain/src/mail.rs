//! Texts of the mails that carry a secret to the owner of a mail address.

use crate::Instant;

/// The subject and the text of a mail.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MailText {
    /// The subject: one line.
    pub subject: String,
    /// The text, in plain lines.
    pub text: String,
}

fn text(subject: String, why: &str, what: &str, secret: &str, until: Instant) -> MailText {
    let until = until.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let text = format!(
        "{why}\n\n{what}\n\n    {secret}\n\nIt is good once, until {until}. Nobody but you has it: give it to nobody. If you did not expect this mail, do nothing.\n"
    );
    MailText { subject, text }
}

/// Invites somebody to become a member of an organization.
pub fn member_invitation(organization: &str, secret: &str, until: Instant) -> MailText {
    text(
        format!("Invitation to {organization}"),
        &format!("You are invited to become a member of {organization}."),
        "Accept with POST /v1/member-invitations/accept and this secret. It confirms that this mail address is yours: from then on what others set up in its name opens nothing any more.",
        secret,
        until,
    )
}

/// Invites the first administrator of a provider that is to be made.
pub fn onboarding_invitation(issuer: &str, provider: &str, secret: &str, until: Instant) -> MailText {
    text(
        format!("{issuer} offers {provider} a contract"),
        &format!("{issuer} has a contract with {provider}, which you are to run in the hub."),
        "Accept with POST /v1/onboarding-invitations/accept and this secret. It confirms that this mail address is yours: from then on what others set up in its name opens nothing any more.",
        secret,
        until,
    )
}

/// Lets somebody set a password.
pub fn password_link(organization: &str, secret: &str, until: Instant) -> MailText {
    text(
        "Set your password".to_owned(),
        &format!("An administrator of {organization} asks you to set a new password."),
        "Set it with PUT /v1/account-links and this link. It confirms that this mail address is yours, and ends all your sessions.",
        secret,
        until,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_has_its_secret_and_its_end_in_the_text_only() {
        let until = Instant::from_timestamp_millis(1_795_262_400_000).unwrap();
        for mail in [
            member_invitation("Contoso", "hub_secret", until),
            onboarding_invitation("Northwind", "Contoso", "hub_secret", until),
            password_link("Contoso", "hub_secret", until),
        ] {
            assert!(mail.text.contains("    hub_secret\n") && mail.text.contains("2026-11-21T12:00:00Z"), "{}", mail.text);
            assert!(!mail.subject.contains("hub_secret") && !mail.subject.contains('\n'));
        }
    }
}
