-- Members, contracts, enrollment, branding and roles are served by onboarding; signing in and the audit by access.
UPDATE jobs SET queue = 'onboarding' WHERE queue IN ('contracts', 'enrollment', 'branding', 'members', 'roles');
UPDATE jobs SET queue = 'access' WHERE queue IN ('sign-in', 'audit');
UPDATE tasks SET queue = 'onboarding' WHERE queue IN ('contracts', 'enrollment', 'branding', 'members', 'roles');
UPDATE tasks SET queue = 'access' WHERE queue IN ('sign-in', 'audit');

-- An organization has one turn in the queue that several have become.
DELETE FROM job_turns;
DELETE FROM job_queues;
INSERT INTO job_turns (queue, organization_id, turn)
    SELECT queue, organization_id, MIN(due_at) * 16384 FROM jobs WHERE state <> 'PARKED' GROUP BY queue, organization_id;
