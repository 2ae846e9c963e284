-- Worlds. Each row counts the restores that began, so that a checkpoint which one of them overtook is taken anew.
CREATE TABLE worlds (
    name text PRIMARY KEY,
    restores integer NOT NULL
) WITHOUT ROWID;

-- The scopes that a world uses, and whose each is.
CREATE TABLE world_scopes (
    world text NOT NULL,
    account text NOT NULL,
    region text NOT NULL,
    owner text,
    claimed_at integer,
    PRIMARY KEY (world, account, region)
) WITHOUT ROWID;
CREATE INDEX world_scopes_owner ON world_scopes (owner) WHERE owner IS NOT NULL;

-- Checkpoints: what each service's state was. run and position tie one to a flow's step or a council run's wave.
CREATE TABLE world_checkpoints (
    num integer PRIMARY KEY AUTOINCREMENT,
    world text NOT NULL,
    name text,
    run text,
    position integer,
    superseded integer NOT NULL DEFAULT 0,
    created_at integer NOT NULL
);
CREATE UNIQUE INDEX world_checkpoints_name ON world_checkpoints (world, name)
    WHERE name IS NOT NULL AND NOT superseded;
CREATE INDEX world_checkpoints_names ON world_checkpoints (world, name, superseded, num) WHERE name IS NOT NULL;
CREATE INDEX world_checkpoints_world ON world_checkpoints (world, num);
CREATE INDEX world_checkpoints_run ON world_checkpoints (run, world, position, num)
    WHERE run IS NOT NULL AND NOT superseded;

-- manifest is the digest of the blob that names the view's chunks.
CREATE TABLE world_states (
    checkpoint integer NOT NULL,
    service text NOT NULL,
    account text NOT NULL,
    region text NOT NULL,
    manifest text NOT NULL,
    resources integer NOT NULL,
    PRIMARY KEY (checkpoint, service, account, region)
) WITHOUT ROWID;

-- A restore that has begun and not ended; whoever comes next carries it out.
CREATE TABLE world_restores (
    world text PRIMARY KEY,
    checkpoint integer NOT NULL,
    before integer,
    run text,
    actor text NOT NULL,
    token text NOT NULL,
    began_at integer NOT NULL
) WITHOUT ROWID;
