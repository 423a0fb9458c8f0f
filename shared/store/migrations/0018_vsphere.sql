-- Turns at vCenters.

-- What the last turn of a task left for the next one, as JSON: which of the vCenter's tasks is under way, and since when.
CREATE TABLE vsphere_memos (
    task_id TEXT PRIMARY KEY REFERENCES tasks (id),
    memo    TEXT NOT NULL
);
