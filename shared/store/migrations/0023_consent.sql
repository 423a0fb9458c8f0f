-- Whose secret opens what: accounts that an organization vouches for, the owner's confirmation, and the hub's mailbox.

-- The organization that vouches for the account, because somebody of it saw the secret that the account was made with. Such an
-- account is a member of this organization and of no other. None, for the account of the address's owner.
ALTER TABLE people ADD COLUMN vouched_by TEXT REFERENCES organizations (id);
-- The mail address of a vouched account; its `email` is then the address, a space and the organization, so that the owner's
-- account, and those that others vouch for, can stand beside it.
ALTER TABLE people ADD COLUMN address TEXT;
-- When the address's owner confirmed that the account is theirs: with a secret that only the mailbox saw, or by an identity
-- provider that may speak for the domain. None, for accounts from before this step too: nobody knows who set their passwords.
ALTER TABLE people ADD COLUMN confirmed_at BIGINT;
CREATE INDEX people_address ON people (address, id) WHERE address IS NOT NULL;

-- SHA-256 of the secret that went to the mailbox and to nobody else.
ALTER TABLE member_invitations ADD COLUMN confirming_hash TEXT;
CREATE UNIQUE INDEX member_invitations_confirming ON member_invitations (confirming_hash) WHERE confirming_hash IS NOT NULL;
-- The account that accepted.
ALTER TABLE member_invitations ADD COLUMN person_id TEXT;
CREATE INDEX member_invitations_email ON member_invitations (email, id);
-- Secrets from before this step were seen by those who invited. They are worth nothing any more where the inviter is not of the
-- organization itself, or invited an administrator to an organization without one: the invitation is to be sent again.
UPDATE member_invitations SET hash = 'ended ' || id WHERE status = 'PENDING' AND (
    NOT EXISTS (SELECT 1 FROM bindings b WHERE b.principal_id = member_invitations.invited_by
        AND b.organization_id = member_invitations.organization_id AND b.bound_by IS NULL)
    OR (member_invitations.grants LIKE '%ADMINISTRATOR"%' AND NOT EXISTS (
        SELECT 1 FROM bindings b JOIN people p ON p.id = b.principal_id
        WHERE b.organization_id = member_invitations.organization_id AND b.bound_by IS NULL AND p.status = 'ACTIVE'
          AND b.role IN ('OPERATOR_ADMINISTRATOR', 'DISTRIBUTOR_ADMINISTRATOR', 'RESELLER_ADMINISTRATOR',
              'DIRECT_RESELLER_ADMINISTRATOR', 'PROVIDER_ADMINISTRATOR', 'CUSTOMER_ADMINISTRATOR'))));
UPDATE onboarding_invitations SET hash = 'ended ' || id WHERE status = 'PENDING';

-- Whether only the mailbox saw the link: who sets a password with it confirms the address.
ALTER TABLE account_links ADD COLUMN confirms BIGINT NOT NULL DEFAULT 0 CHECK (confirms IN (0, 1));

-- The path of the organization whose identity provider vouched for the person: the session opens that organization and those
-- below. None: all that the person's roles reach.
ALTER TABLE sessions ADD COLUMN reach TEXT;
ALTER TABLE access_tokens ADD COLUMN reach TEXT;
UPDATE sessions SET reach = (SELECT o.path FROM identity_providers i JOIN organizations o ON o.id = i.organization_id
    WHERE i.id = sessions.identity_provider_id) WHERE identity_provider_id IS NOT NULL;
UPDATE access_tokens SET reach = (SELECT s.reach FROM sessions s WHERE s.hash = access_tokens.session_hash)
    WHERE session_hash IS NOT NULL;

-- What the hub has to say to people, until the secret in it ends. Only the operator reads it.
CREATE TABLE mailbox (
    id              TEXT PRIMARY KEY,
    -- What it is about: an invitation, a person. A newer one takes the place of the one before, whose secret has ended.
    subject_id      TEXT NOT NULL UNIQUE,
    recipient       TEXT NOT NULL,
    -- In whose name it is written.
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    -- Subject and text, sealed under the data key.
    sealed          TEXT NOT NULL,
    created_at      BIGINT NOT NULL,
    expires_at      BIGINT NOT NULL
);
CREATE INDEX mailbox_recipient ON mailbox (recipient, id);
CREATE INDEX mailbox_expiry ON mailbox (expires_at);
