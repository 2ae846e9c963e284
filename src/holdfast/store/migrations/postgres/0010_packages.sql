-- Flows: what may serve them. chr(31) cannot stand in the name of a workflow, so that no two of these are the same text.
ALTER TABLE flows ADD COLUMN served text COLLATE "C" GENERATED ALWAYS AS
    (CASE WHEN package_hash IS NULL THEN workflow_type ELSE workflow_type || chr(31) || package_hash END) STORED;
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
    content_hash text COLLATE "C" PRIMARY KEY,
    package text COLLATE "C" NOT NULL,
    label text COLLATE "C" NOT NULL,
    manifest text COLLATE "C" NOT NULL,
    deployed_at bigint NOT NULL
);
CREATE INDEX package_archives_name ON package_archives (package, deployed_at, content_hash);

-- Claims: a workflow type belongs to one package.
CREATE TABLE package_claims (
    workflow_type text COLLATE "C" PRIMARY KEY,
    package text COLLATE "C" NOT NULL
);

-- Splits: so many hundredths of a per cent of the new flows of a type start on another version than the route's.
CREATE TABLE package_splits (
    workflow_type text COLLATE "C" PRIMARY KEY,
    content_hash text COLLATE "C" NOT NULL,
    share int NOT NULL
);

-- Signatures of archives, the keys that are trusted, and whether a deploy needs one of them.
CREATE TABLE package_signatures (
    content_hash text COLLATE "C" NOT NULL,
    key_id text COLLATE "C" NOT NULL,
    signature bytea NOT NULL,
    signed_at bigint NOT NULL,
    PRIMARY KEY (content_hash, key_id)
);
CREATE TABLE package_trust (
    key_id text COLLATE "C" PRIMARY KEY,
    public_key bytea NOT NULL,
    added_at bigint NOT NULL
);
CREATE TABLE package_policy (
    name text COLLATE "C" PRIMARY KEY,
    value text COLLATE "C" NOT NULL
);

-- Troubles: versions that cannot be loaded, and why.
CREATE TABLE package_troubles (
    content_hash text COLLATE "C" PRIMARY KEY,
    kind text COLLATE "C" NOT NULL,
    error text COLLATE "C" NOT NULL,
    host text COLLATE "C" NOT NULL,
    at bigint NOT NULL
);
