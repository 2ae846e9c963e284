-- Keys of units whose commit may be resolved later, and content-addressed bodies.
CREATE TABLE unit_keys (
    key uuid PRIMARY KEY,
    at bigint NOT NULL
);
CREATE INDEX unit_keys_at ON unit_keys (at);

CREATE TABLE blobs (
    digest text COLLATE "C" PRIMARY KEY,
    body bytea NOT NULL,
    size bigint NOT NULL,
    created_at bigint NOT NULL
);
