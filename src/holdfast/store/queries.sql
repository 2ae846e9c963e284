-- name: create_migrations
CREATE TABLE IF NOT EXISTS holdfast_migrations (
    version integer PRIMARY KEY,
    name text NOT NULL,
    applied_at bigint NOT NULL
)

-- name: schema_version
SELECT coalesce(max(version), 0) FROM holdfast_migrations

-- name: has_migrations
SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'holdfast_migrations'

-- name: has_migrations [postgres]
SELECT 1 WHERE to_regclass('holdfast_migrations') IS NOT NULL

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

-- name: durability
SELECT CASE synchronous WHEN 0 THEN 'off' WHEN 1 THEN 'normal' WHEN 2 THEN 'full' ELSE 'extra' END
FROM pragma_synchronous

-- name: durability [postgres]
SELECT CASE current_setting('fsync') WHEN 'on' THEN current_setting('synchronous_commit') ELSE 'off' END

-- name: writable
SELECT TRUE

-- name: writable [postgres]
SELECT current_setting('transaction_read_only') = 'off' AND has_table_privilege('holdfast_migrations', 'INSERT')
