-- What the hub knows of itself, in one row.
CREATE TABLE hub (
    id             BIGINT PRIMARY KEY CHECK (id = 1),
    -- A text that was sealed with the data_key this database belongs to; none until the first use.
    key_check      TEXT,
    -- The highest instant that was written, within a second or two.
    highest        BIGINT NOT NULL,
    -- One instant by the machine's clock and by the hub's time, while the one is behind the other.
    anchor_wall    BIGINT,
    anchor_hub     BIGINT,
    -- When the clock was first seen more than a day ahead, and how far it came before it went back.
    far_from       BIGINT,
    far_to         BIGINT,
    -- Until when no job is claimed, because the hub stops.
    stopping_until BIGINT NOT NULL
);
INSERT INTO hub (id, highest, stopping_until) VALUES (1, 0, 0);
