-- name: create_migrations
CREATE TABLE IF NOT EXISTS holdfast_migrations (
    version integer PRIMARY KEY,
    name text NOT NULL,
    applied_at bigint NOT NULL
)

-- name: schema_version
SELECT coalesce(max(version), 0) FROM holdfast_migrations

-- name: record_migration
INSERT INTO holdfast_migrations (version, name, applied_at) VALUES (:version, :name, :at)

-- name: claim_key
INSERT INTO unit_keys (key, at) VALUES (:key, :at) ON CONFLICT DO NOTHING

-- name: prune_keys
DELETE FROM unit_keys WHERE at < :before

-- name: put_blob
INSERT INTO blobs (digest, body, size, created_at) VALUES (:digest, :body, :size, :at) ON CONFLICT DO NOTHING

-- name: get_blob
SELECT body FROM blobs WHERE digest = :digest
