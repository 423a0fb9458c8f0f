-- What was used, and what was invoiced for it.

-- One import of usage.
CREATE TABLE usage_reports (
    id              TEXT PRIMARY KEY,
    -- Who imported it.
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    -- Tells reports of different systems apart; one use is counted once for each of them.
    source          TEXT NOT NULL,
    -- The months of its rows, in order, with spaces between them.
    periods         TEXT NOT NULL,
    row_count       BIGINT NOT NULL,
    -- Rows that were new, rows that were there already or came twice, and those of the new ones that came late.
    accepted        BIGINT NOT NULL,
    duplicates      BIGINT NOT NULL,
    late            BIGINT NOT NULL,
    created_at      BIGINT NOT NULL
);
CREATE INDEX usage_reports_organization ON usage_reports (organization_id, id);

-- Usage. Rows are added and never changed: what was invoiced of them stands in invoice_usage.
CREATE TABLE usage_rows (
    id                  TEXT PRIMARY KEY,
    report_id           TEXT NOT NULL REFERENCES usage_reports (id),
    -- Its place among the report's rows, from 1.
    report_row          BIGINT NOT NULL,
    source              TEXT NOT NULL,
    -- SHA-256 of organization, service, subscription, unit of stock, datacenter and instant, in hexadecimal.
    row_key             TEXT NOT NULL,
    organization_id     TEXT NOT NULL REFERENCES organizations (id),
    service_id          TEXT NOT NULL REFERENCES services (id),
    subscription_id     TEXT NOT NULL REFERENCES subscriptions (id),
    sku                 TEXT NOT NULL,
    description         TEXT NOT NULL,
    datacenter          TEXT NOT NULL,
    used_at             BIGINT NOT NULL,
    -- The month of used_at.
    period              TEXT NOT NULL,
    -- In the organization's currency.
    unit_price          TEXT NOT NULL,
    usage_quantity      TEXT NOT NULL,
    commit_quantity     TEXT NOT NULL,
    billable_quantity   TEXT NOT NULL,
    product_family      TEXT NOT NULL,
    customer_segment    TEXT NOT NULL,
    cross_reference_sku TEXT NOT NULL,
    late                BIGINT NOT NULL CHECK (late IN (0, 1)),
    UNIQUE (source, row_key)
);
CREATE INDEX usage_rows_period ON usage_rows (organization_id, period, id);

-- The last number that a provider gave in a year. It is raised in the transaction that issues the invoice, so that an
-- invoice that was not issued leaves no gap.
CREATE TABLE invoice_numbers (
    provider_id TEXT NOT NULL REFERENCES organizations (id),
    year        BIGINT NOT NULL,
    last        BIGINT NOT NULL,
    PRIMARY KEY (provider_id, year)
);

-- Invoices and their lines never change once they are issued.
CREATE TABLE invoices (
    id              TEXT PRIMARY KEY,
    number          TEXT NOT NULL,
    status          TEXT NOT NULL,
    -- Who is to pay, and whom.
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    provider_id     TEXT NOT NULL REFERENCES organizations (id),
    -- Usage up to the end of this month is on it, unless an earlier invoice has it.
    period          TEXT NOT NULL,
    currency        TEXT NOT NULL,
    rounding        TEXT NOT NULL,
    -- In minor units of the currency, as all amounts are.
    total           BIGINT NOT NULL,
    issued_at       BIGINT NOT NULL,
    UNIQUE (provider_id, number)
);
CREATE INDEX invoices_organization ON invoices (organization_id, id);
CREATE INDEX invoices_period ON invoices (organization_id, period, id);

CREATE TABLE invoice_lines (
    invoice_id      TEXT NOT NULL REFERENCES invoices (id),
    line            BIGINT NOT NULL,
    usage_period    TEXT NOT NULL,
    subscription_id TEXT NOT NULL REFERENCES subscriptions (id),
    sku             TEXT NOT NULL,
    datacenter      TEXT NOT NULL,
    unit_price      TEXT NOT NULL,
    service_id      TEXT NOT NULL REFERENCES services (id),
    -- As they were when the invoice was issued.
    service_name    TEXT NOT NULL,
    description     TEXT NOT NULL,
    quantity        TEXT NOT NULL,
    amount          BIGINT NOT NULL,
    usage_rows      BIGINT NOT NULL,
    PRIMARY KEY (invoice_id, line),
    -- What a line has in common; it is also how usage finds its line.
    UNIQUE (invoice_id, usage_period, subscription_id, sku, datacenter, unit_price)
);

-- Which usage is on which line. The primary key is what keeps usage from being invoiced twice.
CREATE TABLE invoice_usage (
    usage_id   TEXT PRIMARY KEY REFERENCES usage_rows (id),
    invoice_id TEXT NOT NULL,
    line       BIGINT NOT NULL,
    FOREIGN KEY (invoice_id, line) REFERENCES invoice_lines (invoice_id, line)
);
CREATE INDEX invoice_usage_line ON invoice_usage (invoice_id, line, usage_id);
