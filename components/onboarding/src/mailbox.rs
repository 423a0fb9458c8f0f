//! `/v1/mailbox`: what the hub has to say to people, for the operator to hand over while the hub sends no mail itself.

use domain::{JsonSchema, Result, person::Email};
use serde::Deserialize;
use store::mailbox;
use web::{Caller, Cursor, Hub, Listing, Mail, Mailbox, Page, Query, permit};

/// Which mails to list.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MailQuery {
    /// Only those to this mail address.
    to: Option<Email>,
    /// How many a page holds: 1 to 200, 50 when left out.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// Where the page begins: the `nextCursor` of the page before.
    cursor: Option<Cursor>,
}

pub async fn list(hub: Hub, caller: Caller<permit::MailRead>, Query(query): Query<MailQuery>) -> Result<Listing<Mail>> {
    let page = Page::new(&hub, &caller, query.limit, query.cursor.as_ref()).await?;
    let opened = Mailbox::open().await?;
    let stored =
        mailbox::list(hub.db().await?, &caller.scope(), query.to.as_ref(), page.after()?, hub.now(), page.rows()).await?;
    let mails = stored.into_iter().map(|mail| opened.read(mail)).collect::<Result<Vec<_>>>()?;
    Listing::new(&page, mails, |mail| mail.id.to_string()).await
}
