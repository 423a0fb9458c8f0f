-- How people, machines and apps get in.

-- Whoever issued the token: a person, or the API token or app that asked for it. Nobody, for what bootstrapping gave. A
-- credential never permits more than its owner may.
ALTER TABLE api_tokens ADD COLUMN owner_id TEXT;
CREATE INDEX api_tokens_owner ON api_tokens (owner_id, id);

-- Apps: machines that sign in with client credentials (RFC 6749, 4.4). The id is the client id.
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
CREATE INDEX apps_organization ON apps (organization_id, id);
CREATE INDEX apps_owner ON apps (owner_id, id);

-- One for each time that a person signed in. It gives access tokens for as long as it lasts.
CREATE TABLE sessions (
    -- SHA-256 of the first half of its refresh tokens, which all of them share.
    hash         TEXT PRIMARY KEY,
    -- SHA-256 of the second half of the newest one. One with another half was used before: then it was stolen.
    refresh_hash TEXT NOT NULL,
    person_id    TEXT NOT NULL REFERENCES people (id),
    expires_at   BIGINT NOT NULL,
    created_at   BIGINT NOT NULL
);
CREATE INDEX sessions_person ON sessions (person_id);
CREATE INDEX sessions_expiry ON sessions (expires_at);

-- The session that an access token is of; none, for those of API tokens and apps.
ALTER TABLE access_tokens ADD COLUMN session_hash TEXT;

-- The passwords of local accounts.
CREATE TABLE passwords (
    person_id  TEXT PRIMARY KEY REFERENCES people (id),
    -- Argon2id in the PHC string format, with its parameters and its salt.
    hash       TEXT NOT NULL,
    changed_at BIGINT NOT NULL
);

-- Attempts to sign in with a password, counted for each mail address, known or not.
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
CREATE INDEX sign_in_attempts_expiry ON sign_in_attempts (expires_at);

-- The OpenID providers that the hub trusts to say who somebody is.
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
CREATE INDEX identity_providers_organization ON identity_providers (organization_id, id);

-- Sign-ins under way at an identity provider: each ends once, by its state.
CREATE TABLE oidc_sign_ins (
    -- SHA-256 of the state parameter.
    hash                 TEXT PRIMARY KEY,
    identity_provider_id TEXT NOT NULL REFERENCES identity_providers (id),
    -- The nonce, the PKCE code verifier and the redirect URI, sealed under the data key.
    sealed               TEXT NOT NULL,
    expires_at           BIGINT NOT NULL
);
CREATE INDEX oidc_sign_ins_expiry ON oidc_sign_ins (expires_at);
CREATE INDEX oidc_sign_ins_provider ON oidc_sign_ins (identity_provider_id);

-- Who an identity provider's subjects are.
CREATE TABLE person_identities (
    issuer     TEXT NOT NULL,
    subject    TEXT NOT NULL,
    person_id  TEXT NOT NULL REFERENCES people (id),
    created_at BIGINT NOT NULL,
    PRIMARY KEY (issuer, subject)
);
-- A person is one subject of an issuer: a mail address that was given to somebody else does not make them this person.
CREATE UNIQUE INDEX person_identities_person ON person_identities (person_id, issuer);
