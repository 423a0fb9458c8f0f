-- Usage that is taken out before an invoice has it. The rows stay: a void names them and says why.
CREATE TABLE usage_voids (
    id              TEXT PRIMARY KEY,
    -- Who voided it.
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    reason          TEXT NOT NULL,
    row_count       BIGINT NOT NULL,
    created_at      BIGINT NOT NULL
);
CREATE INDEX usage_voids_organization ON usage_voids (organization_id, id);

-- Which usage a void names. The primary key is what keeps usage from being voided twice.
CREATE TABLE voided_usage (
    usage_id TEXT PRIMARY KEY REFERENCES usage_rows (id),
    void_id  TEXT NOT NULL REFERENCES usage_voids (id),
    -- The row_key by which the row is found when it is sent again; the row itself gave it up for one that corrects it.
    source   TEXT NOT NULL,
    row_key  TEXT NOT NULL
);
CREATE INDEX voided_usage_void ON voided_usage (void_id, usage_id);
CREATE INDEX voided_usage_key ON voided_usage (source, row_key);

-- Begins the series of the ids of a report's rows; NULL when none of its rows was new.
ALTER TABLE usage_reports ADD COLUMN first_usage_id TEXT;
UPDATE usage_reports SET first_usage_id = f.id
    FROM (SELECT report_id, MIN(id) AS id FROM usage_rows GROUP BY report_id) AS f WHERE f.report_id = usage_reports.id;
