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

-- name: share_blob
SELECT 1 FROM blobs WHERE digest = :digest

-- name: share_blob [postgres]
SELECT 1 FROM blobs WHERE digest = :digest FOR KEY SHARE

-- name: lock_blob
SELECT 1 FROM blobs WHERE digest = :digest

-- name: lock_blob [postgres]
SELECT 1 FROM blobs WHERE digest = :digest FOR UPDATE

-- name: mend_blob
UPDATE blobs SET body = :body WHERE digest = :digest AND body <> :body

-- name: hold_blob
INSERT INTO blob_holders (digest, holder) VALUES (:digest, :holder) ON CONFLICT DO NOTHING

-- name: release_blob
DELETE FROM blob_holders WHERE digest = :digest AND holder = :holder

-- name: drop_blob
DELETE FROM blobs WHERE digest = :digest AND NOT EXISTS (SELECT 1 FROM blob_holders WHERE digest = :digest)

-- name: kept_for_good
WITH r AS (@rows(digest text)) SELECT h.digest FROM blob_holders h JOIN r ON r.digest = h.digest WHERE h.holder = ''

-- name: put_texts
WITH r AS (@rows(digest text, body text, size bigint))
INSERT INTO blobs (digest, body, size, created_at) SELECT digest, CAST(body AS blob), size, :at FROM r WHERE TRUE
ON CONFLICT DO NOTHING

-- name: put_texts [postgres]
WITH r AS (@rows(digest text, body text, size bigint))
INSERT INTO blobs (digest, body, size, created_at) SELECT digest, convert_to(body, 'UTF8'), size, :at FROM r
ON CONFLICT DO NOTHING

-- name: put_blobs
WITH r AS (@rows(digest text, body text, size bigint))
INSERT INTO blobs (digest, body, size, created_at) SELECT digest, body, size, :at FROM r WHERE TRUE
ON CONFLICT DO NOTHING

-- name: put_blobs [postgres]
WITH r AS (@rows(digest text, body text, size bigint))
INSERT INTO blobs (digest, body, size, created_at) SELECT digest, decode(body, 'base64'), size, :at FROM r
ON CONFLICT DO NOTHING

-- name: share_blobs
WITH r AS (@rows(digest text)) SELECT b.digest FROM blobs b JOIN r ON r.digest = b.digest

-- name: share_blobs [postgres]
WITH r AS (@rows(digest text)) SELECT b.digest FROM blobs b JOIN r ON r.digest = b.digest FOR KEY SHARE OF b

-- name: keep_for_good
WITH r AS (@rows(digest text))
INSERT INTO blob_holders (digest, holder) SELECT digest, '' FROM r WHERE TRUE ON CONFLICT DO NOTHING

-- name: get_blobs
WITH r AS (@rows(digest text)) SELECT b.digest, b.body FROM blobs b JOIN r ON r.digest = b.digest

-- name: durability
SELECT CASE synchronous WHEN 0 THEN 'off' WHEN 1 THEN 'normal' WHEN 2 THEN 'full' ELSE 'extra' END
FROM pragma_synchronous

-- name: durability [postgres]
SELECT CASE current_setting('fsync') WHEN 'on' THEN current_setting('synchronous_commit') ELSE 'off' END

-- name: writable
SELECT TRUE

-- name: writable [postgres]
SELECT current_setting('default_transaction_read_only') = 'off' AND NOT pg_is_in_recovery()
    AND has_table_privilege('holdfast_migrations', 'INSERT')
