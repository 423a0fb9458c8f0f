-- Kept answers are bounded in size: of each principal the newest are whole, of the older ones remains that they were given.

ALTER TABLE idempotency_keys ADD COLUMN location TEXT;
-- How many bytes of answers the principal had kept when this one was, it included.
ALTER TABLE idempotency_keys ADD COLUMN kept BIGINT NOT NULL DEFAULT 0;
-- Half of a SHA-256 tells the keys of one principal apart as well.
UPDATE idempotency_keys SET key_hash = SUBSTR(key_hash, 1, 32), fingerprint = SUBSTR(fingerprint, 1, 32);
CREATE INDEX idempotency_keys_kept ON idempotency_keys (principal_id, kept);

-- What remains of an answer. In a table of its own, so that the place of those that are no longer kept is used again.
CREATE TABLE answered_keys (
    principal_id TEXT NOT NULL,
    key_hash     TEXT NOT NULL,
    fingerprint  TEXT NOT NULL,
    status       BIGINT NOT NULL,
    location     TEXT,
    expires_at   BIGINT NOT NULL,
    PRIMARY KEY (principal_id, key_hash)
);
CREATE INDEX answered_keys_expiry ON answered_keys (expires_at);
