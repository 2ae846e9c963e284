-- Mock AWS worlds that are attached to the store: who has each, and what it holds after its last journalled change.
CREATE TABLE aws_worlds (
    num integer PRIMARY KEY,
    world text NOT NULL UNIQUE,
    epoch integer NOT NULL,
    holder text NOT NULL,
    attached_at integer NOT NULL
);

-- The digest stands for the name, which may be too long for an index.
CREATE TABLE aws_resources (
    world integer NOT NULL,
    service text NOT NULL,
    account_id text NOT NULL,
    region text NOT NULL,
    digest text NOT NULL,
    name text NOT NULL,
    record text NOT NULL,
    PRIMARY KEY (world, service, account_id, region, digest)
) WITHOUT ROWID;
