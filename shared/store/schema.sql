CREATE TABLE access_tokens (
    hash            TEXT PRIMARY KEY,
    -- A person, an API token or an app.
    principal_id    TEXT NOT NULL,
    -- The principal's home: acted in unless told otherwise.
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    expires_at      BIGINT NOT NULL
, session_hash TEXT);

CREATE TABLE account_links (
    -- SHA-256 of the secret in the link.
    hash       TEXT PRIMARY KEY,
    person_id  TEXT NOT NULL REFERENCES people (id),
    expires_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE acting_policies (
    organization_id TEXT PRIMARY KEY REFERENCES organizations (id),
    policy          TEXT NOT NULL CHECK (policy IN ('ALLOW', 'ASK', 'REFUSE')),
    -- Counts the edits; it is the ETag.
    version         BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL
);

CREATE TABLE acting_sessions (
    id                        TEXT PRIMARY KEY,
    -- The customer.
    organization_id           TEXT NOT NULL REFERENCES organizations (id),
    principal_id              TEXT NOT NULL,
    -- What it was called when it asked: the customer cannot look it up.
    principal_name            TEXT NOT NULL,
    principal_organization_id TEXT NOT NULL REFERENCES organizations (id),
    reason                    TEXT NOT NULL,
    duration_minutes          BIGINT NOT NULL CHECK (duration_minutes BETWEEN 1 AND 480),
    status                    TEXT NOT NULL CHECK (status IN ('PENDING', 'OPEN', 'REFUSED', 'LAPSED', 'ENDED', 'EXPIRED')),
    -- While PENDING, when the request lapses; once OPEN, when the session ends by itself.
    expires_at                BIGINT NOT NULL,
    created_at                BIGINT NOT NULL,
    started_at                BIGINT,
    ended_at                  BIGINT,
    -- Who approved or refused it in the customer; none where the policy did.
    answered_by               TEXT,
    -- Who ended it before its time.
    ended_by                  TEXT
);

CREATE TABLE api_tokens (
    id              TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    name            TEXT NOT NULL,
    -- SHA-256 of the secret, in hexadecimal. The secret itself is shown once and kept nowhere.
    hash            TEXT NOT NULL UNIQUE,
    expires_at      BIGINT,
    revoked_at      BIGINT,
    last_used_at    BIGINT,
    created_at      BIGINT NOT NULL
, owner_id TEXT);

CREATE TABLE apps (
    id              TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    name            TEXT NOT NULL,
    -- SHA-256 of the client secret, in hexadecimal.
    hash            TEXT NOT NULL,
    owner_id        TEXT,
    expires_at      BIGINT,
    revoked_at      BIGINT,
    last_used_at    BIGINT,
    created_at      BIGINT NOT NULL
);

CREATE TABLE audit_chains (
    -- No reference: what was done in an organization stays known when it is gone.
    organization_id TEXT PRIMARY KEY,
    -- The number of the last entry, its hash and its instant.
    sequence        BIGINT NOT NULL,
    hash            TEXT NOT NULL,
    at              BIGINT NOT NULL
);

CREATE TABLE audit_entries (
    organization_id           TEXT NOT NULL,
    -- From 1 without gaps.
    sequence                  BIGINT NOT NULL,
    -- Never earlier than that of the entry before.
    at                        BIGINT NOT NULL,
    -- The action is the two with a dot between them.
    resource                  TEXT NOT NULL,
    operation                 TEXT NOT NULL,
    subject_id                TEXT,
    -- A person, an API token, an app, a job, or 'system'.
    principal                 TEXT NOT NULL,
    principal_organization_id TEXT,
    acting_organization_id    TEXT,
    acting_session_id         TEXT,
    request_id                TEXT NOT NULL,
    trace_id                  TEXT NOT NULL,
    result                    TEXT NOT NULL CHECK (result IN ('SUCCESS', 'FAILURE')),
    -- JSON, in the form in which it is hashed.
    details                   TEXT NOT NULL,
    previous_hash             TEXT NOT NULL,
    -- SHA-256 over all columns above; domain::audit says how.
    hash                      TEXT NOT NULL,
    PRIMARY KEY (organization_id, sequence)
);

CREATE TABLE bindings (
    principal_id    TEXT NOT NULL,
    role            TEXT NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id), bound_by TEXT REFERENCES organizations (id),
    PRIMARY KEY (principal_id, role, organization_id)
);

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

CREATE TABLE contracts (
    id             TEXT PRIMARY KEY,
    -- Who offers it: a distributor or the operator.
    issuer_id      TEXT NOT NULL REFERENCES organizations (id),
    provider_id    TEXT NOT NULL REFERENCES organizations (id),
    service_id     TEXT NOT NULL REFERENCES services (id),
    contract_type  TEXT NOT NULL,
    status         TEXT NOT NULL,
    effective_date TEXT NOT NULL,
    currency       TEXT NOT NULL,
    reference      TEXT,
    version        BIGINT NOT NULL,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL
, provider_email TEXT, term BIGINT, grace_term BIGINT, end_date TEXT, discount TEXT, spf TEXT, min_commits TEXT, prepayment BIGINT, trigger_point BIGINT, threshold BIGINT, license_contact_first_name TEXT, license_contact_last_name TEXT, license_contact_email TEXT, provider_contact_first_name TEXT, provider_contact_last_name TEXT, provider_contact_email TEXT, region TEXT, purchase_order TEXT, selling_price_per_point TEXT, termination_date TEXT, reason TEXT, is_default BIGINT NOT NULL DEFAULT 0 CHECK (is_default IN (0, 1)), renews_id TEXT REFERENCES contracts (id));

CREATE TABLE data_center_edits (
    task_id         TEXT PRIMARY KEY REFERENCES tasks (id),
    -- The version that whoever asked had seen.
    seen_version    BIGINT,
    component_name  TEXT,
    component_type  TEXT,
    product_version TEXT,
    fqdn            TEXT,
    username        TEXT,
    password_ref    TEXT,
    password_sealed TEXT,
    target          TEXT,
    purpose         TEXT,
    managed_by      TEXT,
    tags            TEXT,
    networks        TEXT
);

CREATE TABLE data_centers (
    id              TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    component_name  TEXT NOT NULL,
    component_type  TEXT NOT NULL,
    product_version TEXT,
    fqdn            TEXT NOT NULL,
    username        TEXT NOT NULL,
    -- Where the password is kept, or the password itself, sealed for this row's id.
    password_ref    TEXT,
    password_sealed TEXT,
    target          TEXT NOT NULL,
    purpose         TEXT,
    managed_by      TEXT,
    -- JSON: lists that are read and written as a whole.
    tags            TEXT NOT NULL,
    networks        TEXT NOT NULL,
    -- What was found there, as JSON, and when.
    inventory       TEXT,
    discovered_at   BIGINT,
    -- When somebody last saw that it is as described; never, where nobody looks.
    confirmed_at    BIGINT,
    registered_at   BIGINT,
    status          TEXT NOT NULL CHECK (status IN ('REGISTERING', 'REGISTERED', 'FAILED', 'REMOVING')),
    -- The task that works on it, or did so last.
    task_id         TEXT NOT NULL,
    -- Counts the edits; it is the ETag.
    version         BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    UNIQUE (organization_id, component_name),
    CHECK ((password_ref IS NULL) <> (password_sealed IS NULL))
);

CREATE TABLE entitlements (
    subscription_id TEXT PRIMARY KEY REFERENCES subscriptions (id),
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    service_id      TEXT NOT NULL REFERENCES services (id),
    quantity        TEXT NOT NULL,
    created_at      BIGINT NOT NULL
);

CREATE TABLE environment_data_centers (
    environment_id TEXT NOT NULL REFERENCES environments (id),
    data_center_id TEXT NOT NULL REFERENCES data_centers (id),
    PRIMARY KEY (environment_id, data_center_id)
);

CREATE TABLE environments (
    id              TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    -- Its short name, which the reference calls the environment's id.
    code            TEXT NOT NULL,
    name            TEXT NOT NULL,
    status          TEXT NOT NULL CHECK (status IN ('DEPLOYING', 'ACTIVE', 'FAILED', 'REMOVING')),
    -- Its products as JSON, with a mask where a secret stands; and the secrets by their JSON Pointers, sealed for its id.
    products        TEXT NOT NULL,
    secrets         TEXT,
    -- The task that works on it, or did so last.
    task_id         TEXT NOT NULL,
    -- Counts the edits; it is the ETag.
    version         BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    UNIQUE (organization_id, code)
);

CREATE TABLE idempotency_keys (
    principal_id TEXT NOT NULL,
    -- SHA-256 of the key: the key itself helps to unseal the answer and is kept nowhere.
    key_hash     TEXT NOT NULL,
    -- SHA-256 over method, target, acting organization and body of the first request.
    fingerprint  TEXT NOT NULL,
    status       BIGINT NOT NULL,
    -- Headers and body, sealed: an answer may hold a secret that is shown once.
    answer       TEXT NOT NULL,
    expires_at   BIGINT NOT NULL,
    PRIMARY KEY (principal_id, key_hash)
);

CREATE TABLE identity_providers (
    id                    TEXT PRIMARY KEY,
    -- It may vouch for people whose roles are all in this organization and below.
    organization_id       TEXT NOT NULL REFERENCES organizations (id),
    name                  TEXT NOT NULL,
    issuer                TEXT NOT NULL,
    client_id             TEXT NOT NULL,
    -- Sealed under the data key; absent for a public client.
    client_secret         TEXT,
    -- Separated by spaces.
    scopes                TEXT NOT NULL,
    -- The domains of mail addresses it may vouch for, separated by spaces; empty: all.
    email_domains         TEXT NOT NULL,
    -- What the provider says of itself (OpenID Connect Discovery), until when that is believed.
    metadata              TEXT,
    metadata_expires_at   BIGINT NOT NULL,
    -- Its keys (RFC 7517), when they were fetched and until when they are believed.
    keys                  TEXT,
    keys_fetched_at       BIGINT NOT NULL,
    keys_expire_at        BIGINT NOT NULL,
    version               BIGINT NOT NULL,
    created_at            BIGINT NOT NULL,
    updated_at            BIGINT NOT NULL
);

CREATE TABLE invoice_lines (
    invoice_id      TEXT NOT NULL REFERENCES invoices (id),
    line            BIGINT NOT NULL,
    usage_period    TEXT NOT NULL,
    subscription_id TEXT NOT NULL REFERENCES subscriptions (id),
    sku             TEXT NOT NULL,
    datacenter      TEXT NOT NULL,
    unit_price      TEXT NOT NULL,
    service_id      TEXT NOT NULL REFERENCES services (id),
    -- As they were when the invoice was issued.
    service_name    TEXT NOT NULL,
    description     TEXT NOT NULL,
    quantity        TEXT NOT NULL,
    amount          BIGINT NOT NULL,
    usage_rows      BIGINT NOT NULL,
    PRIMARY KEY (invoice_id, line),
    -- What a line has in common; it is also how usage finds its line.
    UNIQUE (invoice_id, usage_period, subscription_id, sku, datacenter, unit_price)
);

CREATE TABLE invoice_numbers (
    provider_id TEXT NOT NULL REFERENCES organizations (id),
    year        BIGINT NOT NULL,
    last        BIGINT NOT NULL,
    PRIMARY KEY (provider_id, year)
);

CREATE TABLE invoice_usage (
    usage_id   TEXT PRIMARY KEY REFERENCES usage_rows (id),
    invoice_id TEXT NOT NULL,
    line       BIGINT NOT NULL,
    FOREIGN KEY (invoice_id, line) REFERENCES invoice_lines (invoice_id, line)
);

CREATE TABLE invoices (
    id              TEXT PRIMARY KEY,
    number          TEXT NOT NULL,
    status          TEXT NOT NULL,
    -- Who is to pay, and whom.
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    provider_id     TEXT NOT NULL REFERENCES organizations (id),
    -- Usage up to the end of this month is on it, unless an earlier invoice has it.
    period          TEXT NOT NULL,
    currency        TEXT NOT NULL,
    rounding        TEXT NOT NULL,
    -- In minor units of the currency, as all amounts are.
    total           BIGINT NOT NULL,
    issued_at       BIGINT NOT NULL,
    UNIQUE (provider_id, number)
);

CREATE TABLE jobs (
    id              TEXT PRIMARY KEY,
    -- The component that runs it.
    queue           TEXT NOT NULL,
    kind            TEXT NOT NULL,
    -- Whose work it is.
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    payload         TEXT NOT NULL,
    state           TEXT NOT NULL CHECK (state IN ('READY', 'RUNNING', 'PARKED')),
    -- When it may be claimed: its time, or the end of the present runner's lease.
    due_at          BIGINT NOT NULL,
    -- Failures in a row.
    attempts        BIGINT NOT NULL,
    -- Counts the claims; a runner whose fence is not the row's own writes nothing.
    fence           BIGINT NOT NULL,
    last_error      TEXT,
    -- The traceparent of the request that decided it.
    trace           TEXT,
    created_at      BIGINT NOT NULL
);

CREATE TABLE machines (
    environment_id TEXT NOT NULL REFERENCES environments (id),
    host_name      TEXT NOT NULL,
    product_id     TEXT NOT NULL,
    -- The node, as JSON.
    node           TEXT NOT NULL,
    PRIMARY KEY (environment_id, host_name)
);

CREATE TABLE member_invitations (
    id              TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    -- In lower case, like a person's.
    email           TEXT NOT NULL,
    -- The name whoever invited goes by for the invited; the invited may choose another.
    display_name    TEXT,
    -- A person, an API token or an app: whoever last sent it, whose rights it rests on until it is accepted.
    invited_by      TEXT NOT NULL,
    -- What the member is to be given, as JSON: roles, bound organizations, roles in services.
    grants          TEXT NOT NULL,
    -- SHA-256 of the secret in the invitation.
    hash            TEXT NOT NULL UNIQUE,
    status          TEXT NOT NULL CHECK (status IN ('PENDING', 'ACCEPTED', 'REVOKED', 'EXPIRED')),
    expires_at      BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    -- When it was accepted or taken back.
    closed_at       BIGINT
);

CREATE TABLE member_service_roles (
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    person_id       TEXT NOT NULL REFERENCES people (id),
    service_role_id TEXT NOT NULL REFERENCES service_roles (id),
    PRIMARY KEY (organization_id, person_id, service_role_id)
);

CREATE TABLE oidc_sign_ins (
    -- SHA-256 of the state parameter.
    hash                 TEXT PRIMARY KEY,
    identity_provider_id TEXT NOT NULL REFERENCES identity_providers (id),
    -- The nonce, the PKCE code verifier and the redirect URI, sealed under the data key.
    sealed               TEXT NOT NULL,
    expires_at           BIGINT NOT NULL
);

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

CREATE TABLE organizations (
    id            TEXT PRIMARY KEY,
    parent_id     TEXT REFERENCES organizations (id),
    -- The ids from the root down to this one, each followed by a dot: a subtree is one range of this column.
    path          TEXT NOT NULL UNIQUE,
    kind          TEXT NOT NULL CHECK (kind IN ('OPERATOR', 'DISTRIBUTOR', 'RESELLER', 'PROVIDER', 'CUSTOMER')),
    status        TEXT NOT NULL CHECK (status IN ('ACTIVE', 'DISABLED')),
    display_name  TEXT NOT NULL,
    company_name  TEXT NOT NULL,
    country       TEXT NOT NULL,
    state         TEXT,
    city          TEXT,
    zip           TEXT,
    address_line1 TEXT,
    domain        TEXT,
    tag           TEXT,
    currency      TEXT NOT NULL,
    -- Counts the edits; it is the ETag.
    version       BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL, description TEXT, address_line2 TEXT, alternate_contact_name TEXT, alternate_contact_email TEXT, tenant_type TEXT, provider_status TEXT, provider_type TEXT, main_provider_id TEXT REFERENCES organizations (id), partner_types TEXT, name_key TEXT NOT NULL DEFAULT '', disabled_at BIGINT, disabled_by TEXT, removed_at BIGINT,
    CHECK ((parent_id IS NULL) = (kind = 'OPERATOR'))
);

CREATE TABLE passwords (
    person_id  TEXT PRIMARY KEY REFERENCES people (id),
    -- Argon2id in the PHC string format, with its parameters and its salt.
    hash       TEXT NOT NULL,
    changed_at BIGINT NOT NULL
);

CREATE TABLE people (
    id                      TEXT PRIMARY KEY,
    -- In lower case, so that an address is one person however it is written.
    email                   TEXT NOT NULL UNIQUE,
    display_name            TEXT NOT NULL,
    status                  TEXT NOT NULL CHECK (status IN ('ACTIVE', 'DISABLED')),
    -- Where the person acts unless told otherwise.
    default_organization_id TEXT REFERENCES organizations (id),
    version                 BIGINT NOT NULL,
    created_at              BIGINT NOT NULL,
    updated_at              BIGINT NOT NULL
);

CREATE TABLE person_identities (
    issuer     TEXT NOT NULL,
    subject    TEXT NOT NULL,
    person_id  TEXT NOT NULL REFERENCES people (id),
    created_at BIGINT NOT NULL,
    PRIMARY KEY (issuer, subject)
);

CREATE TABLE plans (
    id              TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    -- No reference: a plan tells of an environment that is not yet, or no more.
    environment_id  TEXT NOT NULL,
    task_type       TEXT NOT NULL,
    status          TEXT NOT NULL CHECK (status IN ('PLANNED', 'APPROVED', 'APPLIED')),
    -- The version of the environment that it was made for; 0 where there was none.
    seen_version    BIGINT NOT NULL,
    code            TEXT NOT NULL,
    name            TEXT NOT NULL,
    -- The products as they are to be, and their secrets, as in environments. Empty where the environment is to go.
    products        TEXT NOT NULL,
    secrets         TEXT,
    -- The differences, as JSON.
    changes         TEXT NOT NULL,
    task_id         TEXT,
    created_at      BIGINT NOT NULL,
    approved_at     BIGINT
);

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

CREATE TABLE schema_migrations (number BIGINT PRIMARY KEY, name TEXT NOT NULL);

CREATE TABLE service_roles (
    id                         TEXT PRIMARY KEY,
    service_id                 TEXT NOT NULL REFERENCES services (id),
    name                       TEXT NOT NULL,
    display_name               TEXT NOT NULL,
    -- Whether new members of an organization that has the service get it.
    is_default                 BIGINT NOT NULL CHECK (is_default IN (0, 1)),
    -- Whether whoever acts in a customer for its provider has it there.
    provider_default_in_tenant BIGINT NOT NULL CHECK (provider_default_in_tenant IN (0, 1)),
    version                    BIGINT NOT NULL,
    created_at                 BIGINT NOT NULL,
    updated_at                 BIGINT NOT NULL,
    UNIQUE (service_id, name)
);

CREATE TABLE services (
    id             TEXT PRIMARY KEY,
    code           TEXT NOT NULL UNIQUE,
    display_name   TEXT NOT NULL,
    description    TEXT,
    product_family TEXT NOT NULL,
    driver         TEXT NOT NULL CHECK (driver IN ('MANUAL', 'BUILTIN')),
    created_at     BIGINT NOT NULL
);

CREATE TABLE sessions (
    -- SHA-256 of the first half of its refresh tokens, which all of them share.
    hash         TEXT PRIMARY KEY,
    -- SHA-256 of the second half of the newest one. One with another half was used before: then it was stolen.
    refresh_hash TEXT NOT NULL,
    person_id    TEXT NOT NULL REFERENCES people (id),
    expires_at   BIGINT NOT NULL,
    created_at   BIGINT NOT NULL
);

CREATE TABLE sign_in_attempts (
    -- SHA-256 of the address in lower case.
    email_hash   TEXT PRIMARY KEY,
    -- Those in a row that did not succeed.
    failures     BIGINT NOT NULL,
    -- Until when no further one is judged.
    locked_until BIGINT NOT NULL,
    -- When they are forgotten.
    expires_at   BIGINT NOT NULL
);

CREATE TABLE subscriptions (
    id              TEXT PRIMARY KEY,
    -- The customer, and the provider right above it that answers for it.
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    provider_id     TEXT NOT NULL REFERENCES organizations (id),
    service_id      TEXT NOT NULL REFERENCES services (id),
    contract_id     TEXT NOT NULL REFERENCES contracts (id),
    quantity        TEXT NOT NULL,
    status          TEXT NOT NULL,
    -- The task that works on it, or did so last. No reference, since the task refers to the subscription.
    task_id         TEXT NOT NULL,
    created_at      BIGINT NOT NULL,
    activated_at    BIGINT
);

CREATE TABLE task_predecessors (
    task_id      TEXT NOT NULL REFERENCES tasks (id),
    preceding_id TEXT NOT NULL REFERENCES tasks (id),
    PRIMARY KEY (task_id, preceding_id)
);

CREATE TABLE task_requests (
    task_id TEXT PRIMARY KEY REFERENCES tasks (id),
    -- JSON, with a mask where a secret stood.
    body    TEXT NOT NULL
);

CREATE TABLE task_steps (
    task_id    TEXT NOT NULL REFERENCES tasks (id),
    position   BIGINT NOT NULL,
    name       TEXT NOT NULL,
    status     TEXT NOT NULL,
    -- Turns taken at it, those that failed and those at undoing it included.
    attempts   BIGINT NOT NULL,
    message    TEXT,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (task_id, position),
    UNIQUE (task_id, name)
);

CREATE TABLE tasks (
    id              TEXT PRIMARY KEY,
    -- Types, and names of steps, are not enumerated here: a later hub knows more of them than this one.
    task_type       TEXT NOT NULL,
    -- Follows from the steps; kept for finding tasks by it.
    status          TEXT NOT NULL,
    -- Whose task it is.
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    -- What it works on, when that is a subscription.
    subscription_id TEXT REFERENCES subscriptions (id),
    -- The job that takes its next turn; none while it waits for a person and when it has ended.
    job_id          TEXT,
    -- What went wrong.
    message         TEXT,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    ended_at        BIGINT
, queue TEXT NOT NULL DEFAULT 'provisioning', subject TEXT, definition_version BIGINT NOT NULL DEFAULT 1, attempt BIGINT NOT NULL DEFAULT 1, disable_rollback BIGINT NOT NULL DEFAULT 0, cancel_requested_at BIGINT);

CREATE TABLE usage_reports (
    id              TEXT PRIMARY KEY,
    -- Who imported it.
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    -- Tells reports of different systems apart; one use is counted once for each of them.
    source          TEXT NOT NULL,
    -- The months of its rows, in order, with spaces between them.
    periods         TEXT NOT NULL,
    row_count       BIGINT NOT NULL,
    -- Rows that were new, rows that were there already or came twice, and those of the new ones that came late.
    accepted        BIGINT NOT NULL,
    duplicates      BIGINT NOT NULL,
    late            BIGINT NOT NULL,
    created_at      BIGINT NOT NULL
);

CREATE TABLE usage_rows (
    id                  TEXT PRIMARY KEY,
    report_id           TEXT NOT NULL REFERENCES usage_reports (id),
    -- Its place among the report's rows, from 1.
    report_row          BIGINT NOT NULL,
    source              TEXT NOT NULL,
    -- SHA-256 of organization, service, subscription, unit of stock, datacenter and instant, in hexadecimal.
    row_key             TEXT NOT NULL,
    organization_id     TEXT NOT NULL REFERENCES organizations (id),
    service_id          TEXT NOT NULL REFERENCES services (id),
    subscription_id     TEXT NOT NULL REFERENCES subscriptions (id),
    sku                 TEXT NOT NULL,
    description         TEXT NOT NULL,
    datacenter          TEXT NOT NULL,
    used_at             BIGINT NOT NULL,
    -- The month of used_at.
    period              TEXT NOT NULL,
    -- In the organization's currency.
    unit_price          TEXT NOT NULL,
    usage_quantity      TEXT NOT NULL,
    commit_quantity     TEXT NOT NULL,
    billable_quantity   TEXT NOT NULL,
    product_family      TEXT NOT NULL,
    customer_segment    TEXT NOT NULL,
    cross_reference_sku TEXT NOT NULL,
    late                BIGINT NOT NULL CHECK (late IN (0, 1)),
    UNIQUE (source, row_key)
);

CREATE INDEX access_tokens_expiry ON access_tokens (expires_at);

CREATE INDEX access_tokens_principal ON access_tokens (principal_id);

CREATE INDEX account_links_person ON account_links (person_id);

CREATE UNIQUE INDEX acting_sessions_current ON acting_sessions (principal_id, organization_id) WHERE status IN ('PENDING', 'OPEN');

CREATE INDEX acting_sessions_organization ON acting_sessions (organization_id, id);

CREATE INDEX api_tokens_organization ON api_tokens (organization_id, id);

CREATE INDEX api_tokens_owner ON api_tokens (owner_id, id);

CREATE INDEX apps_organization ON apps (organization_id, id);

CREATE INDEX apps_owner ON apps (owner_id, id);

CREATE INDEX audit_entries_acting_session ON audit_entries (organization_id, acting_session_id, sequence) WHERE acting_session_id IS NOT NULL;

CREATE INDEX audit_entries_principal ON audit_entries (organization_id, principal, sequence);

CREATE INDEX audit_entries_resource ON audit_entries (organization_id, resource, sequence, operation);

CREATE INDEX audit_entries_subject ON audit_entries (organization_id, subject_id, sequence);

CREATE INDEX bindings_bound_by ON bindings (bound_by, principal_id, organization_id) WHERE bound_by IS NOT NULL;

CREATE INDEX bindings_organization ON bindings (organization_id, principal_id, role);

CREATE UNIQUE INDEX contracts_default ON contracts (provider_id, service_id) WHERE is_default = 1;

CREATE INDEX contracts_issuer ON contracts (issuer_id, id);

CREATE INDEX contracts_prospective ON contracts (issuer_id, provider_email) WHERE provider_email IS NOT NULL;

CREATE INDEX contracts_provider ON contracts (provider_id, service_id, status);

CREATE INDEX contracts_provider_id ON contracts (provider_id, id);

CREATE UNIQUE INDEX contracts_renews ON contracts (renews_id) WHERE renews_id IS NOT NULL AND status <> 'TERMINATED';

CREATE INDEX data_centers_organization ON data_centers (organization_id, id);

CREATE INDEX data_centers_type ON data_centers (component_type, id);

CREATE INDEX entitlements_organization ON entitlements (organization_id, service_id);

CREATE INDEX environment_data_centers_data_center ON environment_data_centers (data_center_id, environment_id);

CREATE INDEX environments_organization ON environments (organization_id, id);

CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);

CREATE INDEX identity_providers_organization ON identity_providers (organization_id, id);

CREATE INDEX invoice_usage_line ON invoice_usage (invoice_id, line, usage_id);

CREATE INDEX invoices_organization ON invoices (organization_id, id);

CREATE INDEX invoices_period ON invoices (organization_id, period, id);

CREATE INDEX jobs_due ON jobs (queue, due_at, id) WHERE state <> 'PARKED';

CREATE INDEX jobs_next ON jobs (due_at, queue) WHERE state <> 'PARKED';

CREATE INDEX jobs_state ON jobs (state, id);

CREATE INDEX member_invitations_organization ON member_invitations (organization_id, id);

CREATE UNIQUE INDEX member_invitations_pending ON member_invitations (organization_id, email) WHERE status = 'PENDING';

CREATE INDEX member_service_roles_role ON member_service_roles (service_role_id);

CREATE INDEX oidc_sign_ins_expiry ON oidc_sign_ins (expires_at);

CREATE INDEX oidc_sign_ins_provider ON oidc_sign_ins (identity_provider_id);

CREATE INDEX onboarding_invitations_issuer ON onboarding_invitations (issuer_id, id);

CREATE INDEX organizations_country ON organizations (country, path);

CREATE INDEX organizations_disabled ON organizations (path) WHERE status = 'DISABLED';

CREATE INDEX organizations_here ON organizations (path) WHERE removed_at IS NULL;

CREATE INDEX organizations_kind ON organizations (kind, path);

CREATE INDEX organizations_main_provider ON organizations (main_provider_id) WHERE main_provider_id IS NOT NULL;

CREATE INDEX organizations_name ON organizations (parent_id, name_key, id);

CREATE UNIQUE INDEX organizations_one_operator ON organizations (kind) WHERE kind = 'OPERATOR';

CREATE INDEX organizations_parent ON organizations (parent_id, id);

CREATE INDEX organizations_removed ON organizations (path) WHERE removed_at IS NOT NULL;

CREATE INDEX organizations_tag ON organizations (tag, path) WHERE tag IS NOT NULL;

CREATE UNIQUE INDEX person_identities_person ON person_identities (person_id, issuer);

CREATE INDEX plans_environment ON plans (environment_id, id);

CREATE INDEX plans_organization ON plans (organization_id, id);

CREATE INDEX plans_task ON plans (task_id);

CREATE INDEX service_roles_service ON service_roles (service_id, id);

CREATE INDEX sessions_expiry ON sessions (expires_at);

CREATE INDEX sessions_person ON sessions (person_id);

CREATE INDEX sign_in_attempts_expiry ON sign_in_attempts (expires_at);

CREATE INDEX subscriptions_organization ON subscriptions (organization_id, id);

CREATE INDEX task_predecessors_preceding ON task_predecessors (preceding_id);

CREATE INDEX tasks_organization ON tasks (organization_id, id);

CREATE INDEX tasks_status ON tasks (status, id);

CREATE INDEX tasks_subject ON tasks (subject, id);

CREATE INDEX tasks_type ON tasks (task_type, id);

CREATE INDEX tasks_unended ON tasks (subject) WHERE ended_at IS NULL;

CREATE INDEX usage_reports_organization ON usage_reports (organization_id, id);

CREATE INDEX usage_rows_period ON usage_rows (organization_id, period, id);
