-- Key-value worlds: one row per scope; whoever changes its values counts the revision up under this row's lock.
CREATE TABLE value_scopes (
    num integer PRIMARY KEY AUTOINCREMENT,
    world text NOT NULL,
    account_id text NOT NULL,
    region text NOT NULL,
    revision integer NOT NULL DEFAULT 0,
    UNIQUE (world, account_id, region)
);

-- The present values, as canonical JSON.
CREATE TABLE world_values (
    scope integer NOT NULL,
    key text NOT NULL,
    value text NOT NULL,
    PRIMARY KEY (scope, key)
) WITHOUT ROWID;

-- What the latest revisions replaced: a JSON object of keys and the texts of their values before, null for none.
CREATE TABLE value_undo (
    scope integer NOT NULL,
    revision integer NOT NULL,
    before text NOT NULL,
    PRIMARY KEY (scope, revision)
) WITHOUT ROWID;
