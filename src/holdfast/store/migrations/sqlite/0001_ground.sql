-- Keys of units whose commit may be resolved later, and content-addressed bodies.
CREATE TABLE unit_keys (
    key text PRIMARY KEY,
    at integer NOT NULL
) WITHOUT ROWID;
CREATE INDEX unit_keys_at ON unit_keys (at);

CREATE TABLE blobs (
    digest text PRIMARY KEY,
    body blob NOT NULL,
    size integer NOT NULL,
    created_at integer NOT NULL
) WITHOUT ROWID;
