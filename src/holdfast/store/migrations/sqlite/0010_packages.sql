-- Flows: what may serve them. chr(31) cannot stand in the name of a workflow, so that no two of these are the same text.
ALTER TABLE flows ADD COLUMN served text GENERATED ALWAYS AS
    (CASE WHEN package_hash IS NULL THEN workflow_type ELSE workflow_type || char(31) || package_hash END) VIRTUAL;
DROP INDEX flows_due;
CREATE INDEX flows_due ON flows (served, due_at) WHERE due_at IS NOT NULL AND queue IS NULL;
DROP INDEX flows_queue_ready;
CREATE INDEX flows_queue_ready ON flows (queue, served, turn, priority, queue_key, num)
    WHERE turn IS NOT NULL AND due_at IS NOT NULL;

-- Which flows still need a version: all that can be run on or rewound, the ended ones last.
DROP INDEX flows_pinned;
CREATE INDEX flows_pinned ON flows (workflow_type, package_hash, finished_at) WHERE package_hash IS NOT NULL;
CREATE INDEX flows_pinned_due ON flows (package_hash, due_at) WHERE package_hash IS NOT NULL AND due_at IS NOT NULL;

-- Which workflow types have an archive.
CREATE INDEX packages_archive ON packages (content_hash);

-- Archives: what their manifests say, so that a list costs no bodies.
CREATE TABLE package_archives (
    content_hash text PRIMARY KEY,
    package text NOT NULL,
    label text NOT NULL,
    manifest text NOT NULL,
    deployed_at integer NOT NULL
) WITHOUT ROWID;
CREATE INDEX package_archives_name ON package_archives (package, deployed_at, content_hash);

-- Claims: a workflow type belongs to one package.
CREATE TABLE package_claims (
    workflow_type text PRIMARY KEY,
    package text NOT NULL
) WITHOUT ROWID;

-- Splits: so many hundredths of a per cent of the new flows of a type start on another version than the route's.
CREATE TABLE package_splits (
    workflow_type text PRIMARY KEY,
    content_hash text NOT NULL,
    share integer NOT NULL
) WITHOUT ROWID;

-- Signatures of archives, the keys that are trusted, and whether a deploy needs one of them.
CREATE TABLE package_signatures (
    content_hash text NOT NULL,
    key_id text NOT NULL,
    signature blob NOT NULL,
    signed_at integer NOT NULL,
    PRIMARY KEY (content_hash, key_id)
) WITHOUT ROWID;
CREATE TABLE package_trust (
    key_id text PRIMARY KEY,
    public_key blob NOT NULL,
    added_at integer NOT NULL
) WITHOUT ROWID;
CREATE TABLE package_policy (
    name text PRIMARY KEY,
    value text NOT NULL
) WITHOUT ROWID;

-- Troubles: versions that cannot be loaded, and why.
CREATE TABLE package_troubles (
    content_hash text PRIMARY KEY,
    kind text NOT NULL,
    error text NOT NULL,
    host text NOT NULL,
    at integer NOT NULL
) WITHOUT ROWID;
