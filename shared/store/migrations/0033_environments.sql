-- Environments, their tasks, data center components, certificates and stored passwords are of one component, with one queue. Its task
-- notes certificates itself: jobs of the kind certificate.note that are open still run, and no new ones are written.
UPDATE tasks SET queue = 'environments' WHERE queue IN ('deployments', 'data-centers');
UPDATE jobs SET queue = 'environments' WHERE queue IN ('deployments', 'data-centers', 'certificates');
DELETE FROM job_turns;
DELETE FROM job_queues;
INSERT INTO job_turns (queue, organization_id, turn)
    SELECT queue, organization_id, MIN(due_at) * 16384 FROM jobs WHERE state <> 'PARKED' GROUP BY queue, organization_id;
