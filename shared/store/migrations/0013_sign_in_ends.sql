-- What ends with an identity provider, and what lists are read by.

-- The identity provider that vouched for whoever signed in; none, for a password. When it is removed, its sessions end.
ALTER TABLE sessions ADD COLUMN identity_provider_id TEXT;
CREATE INDEX sessions_identity_provider ON sessions (identity_provider_id) WHERE identity_provider_id IS NOT NULL;
