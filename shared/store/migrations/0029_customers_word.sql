-- The customer's word: what was given inside a customer from above, and recoveries of customers that have lost their last administrator.

-- Whether a customer has had an administrator of its own: from then on, and for good, it gives tokens, roles, policies and passwords itself.
ALTER TABLE organizations ADD COLUMN self_administered BIGINT NOT NULL DEFAULT 0;
UPDATE organizations SET self_administered = 1 WHERE kind = 'CUSTOMER' AND EXISTS (
    SELECT 1 FROM bindings b WHERE b.organization_id = organizations.id AND b.bound_by IS NULL AND b.role = 'CUSTOMER_ADMINISTRATOR'
        AND b.principal_id >= 'per_' AND b.principal_id < 'per`');

-- Whether a role in a customer was given from above, while that had no administrator of its own.
ALTER TABLE bindings ADD COLUMN from_above BIGINT NOT NULL DEFAULT 0;
-- Tokens and apps: those whose line of owners does not end in somebody who belongs to the customer.
UPDATE bindings SET from_above = 1
WHERE bound_by IS NULL AND NOT (principal_id >= 'per_' AND principal_id < 'per`')
    AND organization_id IN (SELECT o.id FROM organizations o WHERE o.kind = 'CUSTOMER')
    AND NOT EXISTS (
        WITH RECURSIVE line (id) AS (
            SELECT CAST(bindings.principal_id AS TEXT)
            UNION
            SELECT COALESCE((SELECT t.owner_id FROM api_tokens t WHERE t.id = line.id), (SELECT a.owner_id FROM apps a WHERE a.id = line.id))
            FROM line WHERE line.id IS NOT NULL)
        SELECT 1 FROM line JOIN bindings m ON m.principal_id = line.id
        WHERE line.id >= 'per_' AND line.id < 'per`' AND m.organization_id = bindings.organization_id AND m.bound_by IS NULL);

-- When a person last signed in or went on with a session: who was here lately has lost nothing.
ALTER TABLE people ADD COLUMN seen_at BIGINT;

-- Whether an identity provider that was added from above waits for the customer to trust it.
ALTER TABLE identity_providers ADD COLUMN awaits_customer BIGINT NOT NULL DEFAULT 0;

CREATE TABLE recoveries (
    id              TEXT PRIMARY KEY,
    -- The customer.
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    -- Why, who is to be its administrator, and the name they go by.
    reason          TEXT NOT NULL,
    email           TEXT NOT NULL,
    display_name    TEXT,
    -- Who started it, and in which organization.
    started_by      TEXT NOT NULL,
    started_by_name TEXT NOT NULL,
    started_in      TEXT NOT NULL REFERENCES organizations (id),
    status          TEXT NOT NULL CHECK (status IN ('ANNOUNCED', 'INVITED', 'REFUSED', 'WITHDRAWN', 'VOID')),
    -- When it is carried out.
    due_at          BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    closed_at       BIGINT,
    -- Who refused it or took it back.
    closed_by       TEXT,
    -- What came of it.
    invitation_id   TEXT REFERENCES member_invitations (id)
);
CREATE INDEX recoveries_organization ON recoveries (organization_id, id);
CREATE UNIQUE INDEX recoveries_waiting ON recoveries (organization_id) WHERE status = 'ANNOUNCED';
CREATE UNIQUE INDEX recoveries_invitation ON recoveries (invitation_id) WHERE invitation_id IS NOT NULL;
