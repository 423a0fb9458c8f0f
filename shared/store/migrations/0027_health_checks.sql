-- The last health check of the hub as a whole, which every request for it within a second is answered from. One row.
CREATE TABLE health_checks (
    id         BIGINT PRIMARY KEY CHECK (id = 1),
    asked_at   BIGINT NOT NULL,
    checked_at BIGINT NOT NULL,
    down       TEXT   NOT NULL
);
INSERT INTO health_checks (id, asked_at, checked_at, down) VALUES (1, 0, 0, '');
