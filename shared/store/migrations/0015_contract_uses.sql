-- What was used on the contracts whose parties are told of it, month by month and in minor units of the contract's currency: the
-- sum of the rows as they come in. Invoices have the last word.
CREATE TABLE contract_uses (
    contract_id TEXT NOT NULL REFERENCES contracts (id),
    period      TEXT NOT NULL,
    minor_units BIGINT NOT NULL,
    PRIMARY KEY (contract_id, period)
);
