-- The audit chain: one row per administrative act, and the head that every append locks. The head exists from the
-- beginning, so that the very first appenders queue on it too.
CREATE TABLE audit_rows (
    seq integer PRIMARY KEY,
    at integer NOT NULL,
    actor text NOT NULL,
    act text NOT NULL,
    subject text NOT NULL,
    detail text NOT NULL,
    prev_hash text NOT NULL,
    hash text NOT NULL,
    key_id text,
    signature text
);
CREATE INDEX audit_rows_subject ON audit_rows (subject, seq);
CREATE INDEX audit_rows_subject_act ON audit_rows (subject, act, seq);

CREATE TABLE audit_head (
    one integer PRIMARY KEY CHECK (one = 1),
    seq integer NOT NULL,
    hash text NOT NULL
);
INSERT INTO audit_head (one, seq, hash) VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');

-- Heads that were written down, to compare the chain with later.
CREATE TABLE audit_checkpoints (
    seq integer NOT NULL,
    at integer NOT NULL,
    hash text NOT NULL,
    key_id text,
    signature text,
    PRIMARY KEY (seq, at)
);
