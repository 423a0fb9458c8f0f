//! The one door through which a secret for a mail address goes: the hub's mailbox.
//!
//! A mail is written in the transaction that decides it. Until the hub sends mail itself, the operator reads the mailbox and hands
//! over what is in it.

use crate::{Hub, secret, variable};
use domain::{Error, Id, Instant, JsonSchema, Result, id, mail::MailText, person::Email};
use serde::{Deserialize, Serialize};
use store::{
    Tx,
    mailbox::{self, StoredMail},
};

/// A mail with a secret in it.
pub struct Letter<'a> {
    /// The id of what it is about: a later mail about the same takes its place.
    pub about: String,
    /// The organization in whose name it is written.
    pub from: Id<id::Organization>,
    /// The mail address.
    pub to: &'a Email,
    /// What it says.
    pub text: MailText,
    /// When the secret in it ends, and it leaves the mailbox.
    pub expires_at: Instant,
}

/// The mailbox with the key that seals what goes into it.
pub struct Mailbox {
    data_key: String,
}

/// What is sealed of a mail.
#[derive(Deserialize, Serialize)]
struct Sealed {
    subject: String,
    text: String,
}

/// A mail as the operator reads it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mail {
    /// Its id.
    pub id: Id<id::Mail>,
    /// The mail address it is for.
    pub to: Email,
    /// Its subject.
    pub subject: String,
    /// Its text, with the secret in it.
    pub text: String,
    /// When it was written.
    pub time: Instant,
    /// The organization in whose name it was written.
    pub organization_id: Id<id::Organization>,
    /// When the secret in it ends; then it is deleted.
    pub expires_at: Instant,
}

impl Mailbox {
    /// The mailbox, for one request or job.
    pub async fn open() -> Result<Self> {
        Ok(Self { data_key: variable("data_key").await? })
    }

    fn key(&self, id: Id<id::Mail>) -> [u8; 32] {
        secret::key(&self.data_key, "mailbox", &[&id.to_string()])
    }

    /// Writes a mail, in the transaction that decides it.
    pub async fn post(&self, hub: &Hub, tx: &Tx<'_>, letter: Letter<'_>) -> Result<()> {
        let (about, mail) = self.sealed(hub, letter)?;
        mailbox::insert(tx, &about, &mail).await
    }

    /// Writes mails about things that have none yet, in the transaction that decides them and with few statements.
    pub async fn post_all(&self, hub: &Hub, tx: &Tx<'_>, letters: Vec<Letter<'_>>) -> Result<()> {
        let mails = letters.into_iter().map(|letter| self.sealed(hub, letter)).collect::<Result<Vec<_>>>()?;
        mailbox::insert_all(tx, &mails).await
    }

    /// What a mail is about, and the mail as it is stored.
    fn sealed(&self, hub: &Hub, letter: Letter<'_>) -> Result<(String, StoredMail)> {
        let id = hub.id();
        let sealed = Sealed { subject: letter.text.subject, text: letter.text.text };
        let sealed = serde_json::to_vec(&sealed).map_err(|error| Error::fault(error.to_string()))?;
        let mail = StoredMail {
            id,
            to: letter.to.clone(),
            organization_id: letter.from,
            sealed: secret::seal(&self.key(id), &sealed)?,
            created_at: hub.now(),
            expires_at: letter.expires_at,
        };
        Ok((letter.about, mail))
    }

    /// Opens a stored mail.
    pub fn read(&self, mail: StoredMail) -> Result<Mail> {
        let opened = secret::open(&self.key(mail.id), &mail.sealed)?;
        let sealed: Sealed = serde_json::from_slice(&opened).map_err(|error| Error::fault(error.to_string()))?;
        Ok(Mail {
            id: mail.id,
            to: mail.to,
            subject: sealed.subject,
            text: sealed.text,
            time: mail.created_at,
            organization_id: mail.organization_id,
            expires_at: mail.expires_at,
        })
    }
}
