-- Organizations with all that is said of them, disabled with what is below them, removed and branded; contracts of every
-- type and status; and providers that have contracts before they have an organization.

ALTER TABLE organizations ADD COLUMN description TEXT;
ALTER TABLE organizations ADD COLUMN address_line2 TEXT;
ALTER TABLE organizations ADD COLUMN alternate_contact_name TEXT;
ALTER TABLE organizations ADD COLUMN alternate_contact_email TEXT;
ALTER TABLE organizations ADD COLUMN tenant_type TEXT;
ALTER TABLE organizations ADD COLUMN provider_status TEXT;
ALTER TABLE organizations ADD COLUMN provider_type TEXT;
-- The provider that an additional one belongs to.
ALTER TABLE organizations ADD COLUMN main_provider_id TEXT REFERENCES organizations (id);
-- With spaces between them.
ALTER TABLE organizations ADD COLUMN partner_types TEXT;
-- The display name without case and accents: what lists are searched by.
ALTER TABLE organizations ADD COLUMN name_key TEXT NOT NULL DEFAULT '';
-- When it was itself disabled. Its status says whether it can be acted in, which those above it decide as well.
ALTER TABLE organizations ADD COLUMN disabled_at BIGINT;
-- The topmost of itself and those above it that is disabled: kept in every organization of a subtree, so that nobody has
-- to look up the tree. The status is DISABLED exactly when this is there.
ALTER TABLE organizations ADD COLUMN disabled_by TEXT;
-- When it was removed. Its row stays, since invoices and the audit name it.
ALTER TABLE organizations ADD COLUMN removed_at BIGINT;

UPDATE organizations SET name_key = lower(display_name);
UPDATE organizations SET tenant_type = 'DEFAULT' WHERE kind = 'CUSTOMER';
UPDATE organizations SET provider_status = 'PAID', provider_type = 'STANDARD' WHERE kind = 'PROVIDER';
UPDATE organizations SET disabled_at = updated_at WHERE status = 'DISABLED';
UPDATE organizations SET status = 'DISABLED', disabled_by = (
        SELECT a.id FROM organizations a WHERE a.disabled_at IS NOT NULL AND substr(organizations.path, 1, length(a.path)) = a.path
        ORDER BY a.path LIMIT 1
    ) WHERE EXISTS (
        SELECT 1 FROM organizations a WHERE a.disabled_at IS NOT NULL AND substr(organizations.path, 1, length(a.path)) = a.path
    );

-- Lists go through a subtree in the order of its paths: each filter has an index that ends with the path.
CREATE INDEX organizations_here ON organizations (path) WHERE removed_at IS NULL;
CREATE INDEX organizations_removed ON organizations (path) WHERE removed_at IS NOT NULL;
CREATE INDEX organizations_disabled ON organizations (path) WHERE status = 'DISABLED';
CREATE INDEX organizations_kind ON organizations (kind, path);
CREATE INDEX organizations_country ON organizations (country, path);
CREATE INDEX organizations_tag ON organizations (tag, path) WHERE tag IS NOT NULL;
CREATE INDEX organizations_name ON organizations (parent_id, name_key, id);
CREATE INDEX organizations_main_provider ON organizations (main_provider_id) WHERE main_provider_id IS NOT NULL;

-- How the hub presents itself in an organization; what is absent is inherited from those above.
CREATE TABLE branding (
    organization_id  TEXT PRIMARY KEY REFERENCES organizations (id),
    portal_name      TEXT,
    logo_url         TEXT,
    icon_url         TEXT,
    primary_color    TEXT,
    background_color TEXT,
    -- As JSON.
    links            TEXT,
    -- Counts the edits; it is the ETag.
    version          BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL
);

-- A provider that a contract names before it has an organization: its issuer knows it by its mail address.
CREATE TABLE prospective_providers (
    issuer_id       TEXT NOT NULL REFERENCES organizations (id),
    -- In lower case.
    email           TEXT NOT NULL,
    display_name    TEXT NOT NULL,
    company_name    TEXT NOT NULL,
    country         TEXT NOT NULL,
    currency        TEXT NOT NULL,
    -- The organization it has become.
    organization_id TEXT REFERENCES organizations (id),
    created_at      BIGINT NOT NULL,
    PRIMARY KEY (issuer_id, email)
);

-- From here on a contract's provider_id is its issuer while its provider has no organization yet: the issuer answers for
-- it until then.
ALTER TABLE contracts ADD COLUMN provider_email TEXT;
-- In months.
ALTER TABLE contracts ADD COLUMN term BIGINT;
ALTER TABLE contracts ADD COLUMN grace_term BIGINT;
-- The first day on which it is no longer in force.
ALTER TABLE contracts ADD COLUMN end_date TEXT;
ALTER TABLE contracts ADD COLUMN discount TEXT;
ALTER TABLE contracts ADD COLUMN spf TEXT;
-- Amounts are minor units of the contract's currency; these have spaces between them.
ALTER TABLE contracts ADD COLUMN min_commits TEXT;
ALTER TABLE contracts ADD COLUMN prepayment BIGINT;
ALTER TABLE contracts ADD COLUMN trigger_point BIGINT;
ALTER TABLE contracts ADD COLUMN threshold BIGINT;
ALTER TABLE contracts ADD COLUMN license_contact_first_name TEXT;
ALTER TABLE contracts ADD COLUMN license_contact_last_name TEXT;
ALTER TABLE contracts ADD COLUMN license_contact_email TEXT;
ALTER TABLE contracts ADD COLUMN provider_contact_first_name TEXT;
ALTER TABLE contracts ADD COLUMN provider_contact_last_name TEXT;
ALTER TABLE contracts ADD COLUMN provider_contact_email TEXT;
ALTER TABLE contracts ADD COLUMN region TEXT;
ALTER TABLE contracts ADD COLUMN purchase_order TEXT;
ALTER TABLE contracts ADD COLUMN selling_price_per_point TEXT;
ALTER TABLE contracts ADD COLUMN termination_date TEXT;
-- Why it was rejected, terminated or deactivated.
ALTER TABLE contracts ADD COLUMN reason TEXT;
ALTER TABLE contracts ADD COLUMN is_default BIGINT NOT NULL DEFAULT 0 CHECK (is_default IN (0, 1));
-- The contract that it follows.
ALTER TABLE contracts ADD COLUMN renews_id TEXT REFERENCES contracts (id);

CREATE UNIQUE INDEX contracts_default ON contracts (provider_id, service_id) WHERE is_default = 1;
CREATE UNIQUE INDEX contracts_renews ON contracts (renews_id) WHERE renews_id IS NOT NULL AND status <> 'TERMINATED';
CREATE INDEX contracts_prospective ON contracts (issuer_id, provider_email) WHERE provider_email IS NOT NULL;
CREATE INDEX contracts_provider_id ON contracts (provider_id, id);

-- Contracts are served by a component of their own, which has a queue of its own.
UPDATE jobs SET queue = 'contracts' WHERE kind = 'contract.activate';

-- One a provider and issuer, made when the provider's first contract comes into force.
CREATE TABLE onboarding_invitations (
    id              TEXT PRIMARY KEY,
    issuer_id       TEXT NOT NULL REFERENCES organizations (id),
    email           TEXT NOT NULL,
    -- The contract that came into force.
    contract_id     TEXT NOT NULL REFERENCES contracts (id),
    status          TEXT NOT NULL CHECK (status IN ('PENDING', 'ACCEPTED', 'REVOKED')),
    -- SHA-256 of the secret in its link.
    hash            TEXT NOT NULL UNIQUE,
    expires_at      BIGINT NOT NULL,
    -- The organization that its acceptance made.
    organization_id TEXT REFERENCES organizations (id),
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    UNIQUE (issuer_id, email),
    FOREIGN KEY (issuer_id, email) REFERENCES prospective_providers (issuer_id, email)
);
CREATE INDEX onboarding_invitations_issuer ON onboarding_invitations (issuer_id, id);
