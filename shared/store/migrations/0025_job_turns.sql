-- Whose turn it is in a queue: one row for each organization with jobs in it that are not parked. A claim takes the organization
-- with the lowest turn, so that its cost does not grow with the jobs or the organizations that wait.
CREATE TABLE job_turns (
    queue           TEXT NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    -- When its first job is due, or after whom it comes: an instant in milliseconds times 16384, plus a number that tells those of
    -- one millisecond apart.
    turn            BIGINT NOT NULL,
    PRIMARY KEY (queue, organization_id)
);
CREATE INDEX job_turns_next ON job_turns (queue, turn, organization_id);

-- The highest turn that was served in a queue. Those who come get none that is lower.
CREATE TABLE job_queues (
    queue  TEXT PRIMARY KEY,
    served BIGINT NOT NULL
);

INSERT INTO job_turns (queue, organization_id, turn)
    SELECT queue, organization_id, MIN(due_at) * 16384 FROM jobs WHERE state <> 'PARKED' GROUP BY queue, organization_id;

DROP INDEX jobs_due;
CREATE INDEX jobs_of_organization ON jobs (queue, organization_id, due_at, id) WHERE state <> 'PARKED';
