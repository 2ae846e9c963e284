-- Mock AWS worlds that are attached to the store: who has each, and what it holds after its last journalled change.
CREATE TABLE aws_worlds (
    num bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    world text COLLATE "C" NOT NULL UNIQUE,
    epoch bigint NOT NULL,
    holder text COLLATE "C" NOT NULL,
    attached_at bigint NOT NULL
);

-- The digest stands for the name, which may be too long for an index.
CREATE TABLE aws_resources (
    world bigint NOT NULL,
    service text COLLATE "C" NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    region text COLLATE "C" NOT NULL,
    digest text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    record text NOT NULL,
    PRIMARY KEY (world, service, account_id, region, digest)
);
