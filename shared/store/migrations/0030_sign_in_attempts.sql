-- How people get in while others try to: attempts are counted by account and source together, password hashes wait for their turn,
-- and what a secret gave ends with it.

-- What was counted for each mail address held its owner out with the stranger.
DROP TABLE sign_in_attempts;
CREATE TABLE sign_in_attempts (
    -- Of an account from one source, of a known device, of a session; of an account, of a source. A keyed hash: neither addresses
    -- nor sources can be read here, nor guessed from it.
    hash       TEXT PRIMARY KEY,
    -- Those that did not succeed, or are under way.
    failures   BIGINT NOT NULL,
    -- Until when no further one is judged; of an account and of a source, until when the bucket of their allowance runs.
    until      BIGINT NOT NULL,
    -- When they are forgotten.
    expires_at BIGINT NOT NULL
);
CREATE INDEX sign_in_attempts_expiry ON sign_in_attempts (expires_at);

-- Password hashes that are computed, and those that wait: the first few in the order of their tickets have a slot.
CREATE TABLE hash_slots (
    ticket     BIGINT PRIMARY KEY,
    -- Whose: a number may come again.
    holder     TEXT NOT NULL,
    -- When it is given up for lost.
    expires_at BIGINT NOT NULL
);

-- One refresh token used by two at once: the answer that the first got is kept for a moment.
-- SHA-256 of the second half of the refresh token before the newest one, and when it was replaced.
ALTER TABLE sessions ADD COLUMN replaced_hash TEXT;
ALTER TABLE sessions ADD COLUMN replaced_at BIGINT;
-- What it was answered with, sealed under the data key and that refresh token together.
ALTER TABLE sessions ADD COLUMN kept_answer TEXT;

-- What a credential has invited to ends when it gets another secret.
CREATE INDEX member_invitations_inviter ON member_invitations (invited_by) WHERE status = 'PENDING';

-- Whether mail addresses in the domains of an identity provider count as verified where it does not say.
ALTER TABLE identity_providers ADD COLUMN assume_email_verified BIGINT NOT NULL DEFAULT 0 CHECK (assume_email_verified IN (0, 1));
-- How many times in a row it did not answer as it should, and until when it is not asked for that.
ALTER TABLE identity_providers ADD COLUMN failures BIGINT NOT NULL DEFAULT 0;
ALTER TABLE identity_providers ADD COLUMN paused_until BIGINT NOT NULL DEFAULT 0;
-- More of what it says of itself is looked at from now on: it is asked again.
UPDATE identity_providers SET metadata_expires_at = 0;
