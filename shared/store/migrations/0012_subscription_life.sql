-- What is done to subscriptions after they were provisioned.

-- Counts whatever changes of it; it is the ETag.
ALTER TABLE subscriptions ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
-- Where it stood when its task began, and stands again when that is undone.
ALTER TABLE subscriptions ADD COLUMN status_before TEXT;
ALTER TABLE subscriptions ADD COLUMN suspended_at BIGINT;
ALTER TABLE subscriptions ADD COLUMN terminated_at BIGINT;
-- Why it was suspended or terminated, in the words of whoever asked for that.
ALTER TABLE subscriptions ADD COLUMN reason TEXT;

-- What a task is to make of a subscription; the subscription itself says what it is until then.
CREATE TABLE subscription_changes (
    task_id    TEXT PRIMARY KEY REFERENCES tasks (id),
    plan_code  TEXT,
    quantity   TEXT NOT NULL,
    properties TEXT
);

-- 1 while the customer is not to have what it is entitled to.
ALTER TABLE entitlements ADD COLUMN suspended BIGINT NOT NULL DEFAULT 0;
