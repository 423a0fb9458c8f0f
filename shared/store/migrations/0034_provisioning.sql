-- The catalog, subscriptions, approvals, renewals, service brokers and bindings and cloud endpoints are one component: provisioning.
UPDATE jobs SET queue = 'provisioning' WHERE queue IN ('catalogue', 'subscriptions', 'approvals', 'renewals', 'service-bindings', 'service-brokers', 'cloud-endpoints');
UPDATE tasks SET queue = 'provisioning' WHERE queue IN ('catalogue', 'subscriptions', 'approvals', 'renewals', 'service-bindings', 'service-brokers', 'cloud-endpoints');
UPDATE jobs SET queue = 'brokers' WHERE queue = 'broker-operations';

-- Terms are written, moved on and ended in the transactions that do so. The jobs that did become looks at the term, which do what is
-- left of it. At a term's end such a look is open already: the new one, which is due before it, takes its place. An id has 26 characters
-- after its prefix, an instant in milliseconds has 13 digits; no term has ended at the instant 0.
UPDATE jobs SET kind = 'renewal.look', payload = substr(payload, 1, 49) || '","termEndsAt":0}' WHERE kind = 'renewal.begin';
UPDATE jobs SET kind = 'renewal.look', payload = substr(payload, 1, 77) || '}' WHERE kind = 'renewal.renewed';
UPDATE jobs SET payload = substr(payload, 1, 77) || '}' WHERE kind = 'subscription.term-over';
DELETE FROM jobs WHERE kind = 'renewal.look' AND payload IN (SELECT ended.payload FROM jobs ended WHERE ended.kind = 'subscription.term-over' AND ended.state <> 'PARKED');
UPDATE jobs SET kind = 'renewal.look' WHERE kind = 'subscription.term-over';

-- Whether an offer asks something of requests was kept beside it for components that could not read offers.
ALTER TABLE services DROP COLUMN asks;

-- Organizations take their turns in the queues that there are now.
DELETE FROM job_turns;
DELETE FROM job_queues;
INSERT INTO job_turns (queue, organization_id, turn) SELECT queue, organization_id, MIN(due_at) * 16384 FROM jobs WHERE state <> 'PARKED' GROUP BY queue, organization_id;
