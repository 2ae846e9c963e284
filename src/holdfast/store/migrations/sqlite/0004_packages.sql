-- Packages: deployed versions of workflow types; the archive is the blob of the same hash.
CREATE TABLE packages (
    workflow_type text NOT NULL,
    content_hash text NOT NULL,
    deployed_at integer NOT NULL,
    PRIMARY KEY (workflow_type, content_hash)
) WITHOUT ROWID;
CREATE INDEX packages_deployed ON packages (deployed_at, workflow_type, content_hash);

-- Routes: on which version new flows of a type start. It need not be a deployed one.
CREATE TABLE package_routes (
    workflow_type text PRIMARY KEY,
    content_hash text NOT NULL
) WITHOUT ROWID;

-- Which flows still need a version.
CREATE INDEX flows_pinned ON flows (workflow_type, package_hash)
    WHERE package_hash IS NOT NULL AND status IN ('created', 'running', 'waiting');

-- Who needs a blob; it goes with its last holder. Those of the holder '' stay for good.
CREATE TABLE blob_holders (
    digest text NOT NULL,
    holder text NOT NULL,
    PRIMARY KEY (digest, holder)
) WITHOUT ROWID;
INSERT INTO blob_holders (digest, holder) SELECT digest, '' FROM blobs;
