-- What a task was asked of, so that one that is run again can tell whether the world has moved on.

-- The version of the data center component that there was when the task was asked for, whatever the caller named.
ALTER TABLE data_center_edits ADD COLUMN found_version BIGINT;

-- The commit contract that a change moves a subscription to.
ALTER TABLE subscription_changes ADD COLUMN contract_id TEXT REFERENCES contracts (id);

-- A contract's subscriptions go over to the one that follows it. Those that were left behind go there now.
CREATE INDEX subscriptions_contract ON subscriptions (contract_id, id);
WITH RECURSIVE followed (first, last) AS (
    SELECT c.renews_id, c.id FROM contracts c WHERE c.renews_id IS NOT NULL AND c.status IN ('ACTIVE', 'PENDING_TERMINATION', 'PENDING_EXPIRATION', 'EXPIRED')
    UNION
    SELECT f.first, c.id FROM followed f JOIN contracts c ON c.renews_id = f.last WHERE c.status IN ('ACTIVE', 'PENDING_TERMINATION', 'PENDING_EXPIRATION', 'EXPIRED')
)
UPDATE subscriptions SET version = version + 1, contract_id =
    (SELECT f.last FROM followed f JOIN contracts c ON c.id = f.last WHERE f.first = subscriptions.contract_id AND c.status IN ('ACTIVE', 'PENDING_TERMINATION') LIMIT 1)
WHERE status NOT IN ('FAILED', 'TERMINATED') AND contract_id IN
    (SELECT f.first FROM followed f JOIN contracts c ON c.id = f.last WHERE c.status IN ('ACTIVE', 'PENDING_TERMINATION'));
