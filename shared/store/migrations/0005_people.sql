-- People; and an access token is that of a principal of any kind, no longer only that of an API token.

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

-- Links by which a person sets the password of a local account: each good once.
CREATE TABLE account_links (
    -- SHA-256 of the secret in the link.
    hash       TEXT PRIMARY KEY,
    person_id  TEXT NOT NULL REFERENCES people (id),
    expires_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX account_links_person ON account_links (person_id);

ALTER TABLE access_tokens RENAME TO access_tokens_of_api_tokens;
DROP INDEX access_tokens_expiry;

-- Whoever ends a principal's rights deletes its access tokens in the same transaction: to look one up is to read this
-- table, the bindings and the organizations, whatever kind of principal it is.
CREATE TABLE access_tokens (
    hash            TEXT PRIMARY KEY,
    -- A person, an API token or an app.
    principal_id    TEXT NOT NULL,
    -- The principal's home: acted in unless told otherwise.
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    expires_at      BIGINT NOT NULL
);
CREATE INDEX access_tokens_principal ON access_tokens (principal_id);
CREATE INDEX access_tokens_expiry ON access_tokens (expires_at);

INSERT INTO access_tokens (hash, principal_id, organization_id, expires_at)
    SELECT a.hash, a.api_token_id, t.organization_id, a.expires_at
    FROM access_tokens_of_api_tokens a JOIN api_tokens t ON t.id = a.api_token_id WHERE t.revoked_at IS NULL;

DROP TABLE access_tokens_of_api_tokens;
