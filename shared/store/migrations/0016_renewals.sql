-- For how long something was agreed on, and what becomes of it then.

CREATE TABLE renewals (
    subscription_id    TEXT PRIMARY KEY REFERENCES subscriptions (id),
    organization_id    TEXT NOT NULL REFERENCES organizations (id),
    -- How many calendar months the present term has, when the first one began, and how many there are from then to the end of
    -- the present one: every end is counted from there.
    months             BIGINT NOT NULL,
    anchor_at          BIGINT NOT NULL,
    months_done        BIGINT NOT NULL,
    -- These three follow from the others; kept for finding by them.
    starts_at          BIGINT NOT NULL,
    ends_at            BIGINT NOT NULL,
    cancellable_until  BIGINT,
    -- What the plan says of terms.
    cancellation_days  BIGINT,
    notice_days        BIGINT,
    renewal_preference TEXT NOT NULL,
    -- What is to change with the renewal, as JSON.
    renewal_change     TEXT,
    version            BIGINT NOT NULL,
    created_at         BIGINT NOT NULL,
    updated_at         BIGINT NOT NULL
);
CREATE INDEX renewals_organization ON renewals (organization_id, subscription_id);
CREATE INDEX renewals_ends ON renewals (ends_at, subscription_id);

-- The end of the last term that it was renewed after: so it is renewed once after each.
ALTER TABLE subscriptions ADD COLUMN renewed_after BIGINT;
-- Until when it is to be charged for although it ended before.
ALTER TABLE subscriptions ADD COLUMN charged_until BIGINT;
ALTER TABLE subscription_changes ADD COLUMN term_months BIGINT;
-- The end of the term after which the task renews.
ALTER TABLE subscription_changes ADD COLUMN term_ends_at BIGINT;
