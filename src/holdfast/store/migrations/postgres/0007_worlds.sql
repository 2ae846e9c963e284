-- Worlds. Each row counts the restores that began, so that a checkpoint which one of them overtook is taken anew.
CREATE TABLE worlds (
    name text COLLATE "C" PRIMARY KEY,
    restores bigint NOT NULL
);

-- The scopes that a world uses, and whose each is.
CREATE TABLE world_scopes (
    world text COLLATE "C" NOT NULL,
    account text COLLATE "C" NOT NULL,
    region text COLLATE "C" NOT NULL,
    owner text COLLATE "C",
    claimed_at bigint,
    PRIMARY KEY (world, account, region)
);
CREATE INDEX world_scopes_owner ON world_scopes (owner) WHERE owner IS NOT NULL;

-- Checkpoints: what each service's state was. run and position tie one to a flow's step or a council run's wave.
CREATE TABLE world_checkpoints (
    num bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    world text COLLATE "C" NOT NULL,
    name text COLLATE "C",
    run text COLLATE "C",
    position bigint,
    superseded boolean NOT NULL DEFAULT false,
    created_at bigint NOT NULL
);
CREATE UNIQUE INDEX world_checkpoints_name ON world_checkpoints (world, name)
    WHERE name IS NOT NULL AND NOT superseded;
CREATE INDEX world_checkpoints_names ON world_checkpoints (world, name, superseded, num) WHERE name IS NOT NULL;
CREATE INDEX world_checkpoints_world ON world_checkpoints (world, num);
CREATE INDEX world_checkpoints_run ON world_checkpoints (run, world, position, num)
    WHERE run IS NOT NULL AND NOT superseded;

-- manifest is the digest of the blob that names the view's chunks.
CREATE TABLE world_states (
    checkpoint bigint NOT NULL,
    service text COLLATE "C" NOT NULL,
    account text COLLATE "C" NOT NULL,
    region text COLLATE "C" NOT NULL,
    manifest text NOT NULL,
    resources bigint NOT NULL,
    PRIMARY KEY (checkpoint, service, account, region)
);

-- A restore that has begun and not ended; whoever comes next carries it out.
CREATE TABLE world_restores (
    world text COLLATE "C" PRIMARY KEY,
    checkpoint bigint NOT NULL,
    before bigint,
    run text COLLATE "C",
    actor text NOT NULL,
    token text NOT NULL,
    began_at bigint NOT NULL
);
