-- Key-value worlds: one row per scope; whoever changes its values counts the revision up under this row's lock.
CREATE TABLE value_scopes (
    num bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    world text COLLATE "C" NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    region text COLLATE "C" NOT NULL,
    revision bigint NOT NULL DEFAULT 0,
    UNIQUE (world, account_id, region)
);

-- The present values, as canonical JSON.
CREATE TABLE world_values (
    scope bigint NOT NULL,
    key text COLLATE "C" NOT NULL,
    value text NOT NULL,
    PRIMARY KEY (scope, key)
);

-- What the latest revisions replaced: a JSON object of keys and the texts of their values before, null for none.
CREATE TABLE value_undo (
    scope bigint NOT NULL,
    revision bigint NOT NULL,
    before text NOT NULL,
    PRIMARY KEY (scope, revision)
);
