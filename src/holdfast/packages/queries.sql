-- part: package
p.workflow_type, p.content_hash, p.deployed_at, b.body

-- name: put_package
INSERT INTO packages (workflow_type, content_hash, deployed_at)
VALUES (:workflow_type, :content_hash, :deployed_at)
ON CONFLICT (workflow_type, content_hash) DO UPDATE SET deployed_at = excluded.deployed_at

-- name: get_package
SELECT {package} FROM packages p LEFT JOIN blobs b ON b.digest = p.content_hash
WHERE p.workflow_type = :workflow_type AND p.content_hash = :content_hash

-- name: has_package
SELECT 1 FROM packages WHERE workflow_type = :workflow_type AND content_hash = :content_hash

-- name: list_packages
SELECT {package} FROM packages p LEFT JOIN blobs b ON b.digest = p.content_hash
WHERE (p.deployed_at, p.workflow_type, p.content_hash) > (:deployed_at, :workflow_type, :content_hash)
ORDER BY p.deployed_at, p.workflow_type, p.content_hash LIMIT :limit

-- name: delete_package
DELETE FROM packages WHERE workflow_type = :workflow_type AND content_hash = :content_hash

-- name: put_route
INSERT INTO package_routes (workflow_type, content_hash) VALUES (:workflow_type, :content_hash)
ON CONFLICT (workflow_type) DO UPDATE SET content_hash = excluded.content_hash

-- name: get_route
SELECT workflow_type, content_hash FROM package_routes WHERE workflow_type = :workflow_type

-- name: delete_route
DELETE FROM package_routes WHERE workflow_type = :workflow_type

-- name: list_routes
SELECT workflow_type, content_hash FROM package_routes
WHERE workflow_type > :workflow_type ORDER BY workflow_type LIMIT :limit

-- name: put_split
INSERT INTO package_splits (workflow_type, content_hash, share) VALUES (:workflow_type, :content_hash, :share)
ON CONFLICT (workflow_type) DO UPDATE SET content_hash = excluded.content_hash, share = excluded.share

-- name: get_split
SELECT workflow_type, content_hash, share FROM package_splits WHERE workflow_type = :workflow_type

-- name: delete_split
DELETE FROM package_splits WHERE workflow_type = :workflow_type

-- name: get_archive
SELECT b.body FROM blobs b
WHERE b.digest = :content_hash AND EXISTS (SELECT 1 FROM packages p WHERE p.content_hash = :content_hash)

-- part: on_version
workflow_type = :workflow_type AND package_hash = :content_hash

-- part: at_end
status IN ('finished', 'failed', 'cancelled')

-- name: holding
SELECT id, FALSE FROM flows WHERE {on_version} AND finished_at IS NULL AND NOT {at_end} LIMIT :limit

-- name: unfinished
SELECT id, TRUE FROM flows WHERE {on_version} AND finished_at IS NULL AND {at_end} LIMIT :limit

-- name: ended
SELECT id, TRUE FROM flows WHERE {on_version} AND finished_at IS NOT NULL ORDER BY finished_at DESC LIMIT :limit

-- name: has_archive
SELECT 1 FROM packages WHERE content_hash = :content_hash LIMIT 1

-- name: put_archive
INSERT INTO package_archives (content_hash, package, label, manifest, deployed_at)
VALUES (:content_hash, :package, :label, :manifest, :deployed_at)
ON CONFLICT (content_hash) DO UPDATE SET package = excluded.package, label = excluded.label,
    manifest = excluded.manifest, deployed_at = excluded.deployed_at

-- name: delete_archive
DELETE FROM package_archives WHERE content_hash = :content_hash

-- name: put_signature
INSERT INTO package_signatures (content_hash, key_id, signature, signed_at)
VALUES (:content_hash, :key_id, :signature, :signed_at)
ON CONFLICT (content_hash, key_id) DO UPDATE SET signature = excluded.signature, signed_at = excluded.signed_at

-- name: list_signatures
SELECT key_id, signature FROM package_signatures WHERE content_hash = :content_hash ORDER BY key_id

-- name: delete_signatures
DELETE FROM package_signatures WHERE content_hash = :content_hash

-- name: get_claim
SELECT package FROM package_claims WHERE workflow_type = :workflow_type

-- name: put_claim
INSERT INTO package_claims (workflow_type, package) VALUES (:workflow_type, :package)
ON CONFLICT (workflow_type) DO UPDATE SET package = excluded.package

-- name: delete_claim
DELETE FROM package_claims WHERE workflow_type = :workflow_type

-- name: idle_claims
SELECT c.workflow_type FROM package_claims c
WHERE NOT EXISTS (SELECT 1 FROM packages p WHERE p.workflow_type = c.workflow_type)
    AND NOT EXISTS (SELECT 1 FROM package_routes r WHERE r.workflow_type = c.workflow_type)
ORDER BY c.workflow_type

-- name: has_versions
SELECT 1 FROM packages WHERE workflow_type = :workflow_type LIMIT 1

-- name: list_trusted
SELECT key_id, public_key, added_at FROM package_trust ORDER BY key_id

-- name: put_trusted
INSERT INTO package_trust (key_id, public_key, added_at) VALUES (:key_id, :public_key, :added_at)
ON CONFLICT (key_id) DO NOTHING

-- name: delete_trusted
DELETE FROM package_trust WHERE key_id = :key_id

-- name: get_policy
SELECT value FROM package_policy WHERE name = :name

-- name: put_policy
INSERT INTO package_policy (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value

-- name: put_trouble
INSERT INTO package_troubles (content_hash, kind, error, host, at) VALUES (:content_hash, :kind, :error, :host, :at)
ON CONFLICT (content_hash) DO UPDATE
SET kind = excluded.kind, error = excluded.error, host = excluded.host, at = excluded.at

-- name: delete_trouble
DELETE FROM package_troubles WHERE content_hash = :content_hash

-- name: list_troubles
SELECT content_hash, kind, error, host, at FROM package_troubles ORDER BY content_hash

-- part: many_open
SELECT 1 FROM flows f WHERE f.workflow_type = p.workflow_type AND f.package_hash = p.content_hash
    AND f.finished_at IS NULL LIMIT :many

-- part: many_ended
SELECT 1 FROM flows f WHERE f.workflow_type = p.workflow_type AND f.package_hash = p.content_hash
    AND f.finished_at IS NOT NULL LIMIT :many

-- name: list_versions
SELECT p.workflow_type, p.content_hash, p.deployed_at, a.package, a.label, r.content_hash, s.content_hash, s.share,
    (SELECT count(*) FROM ({many_open}) o), (SELECT count(*) FROM ({many_ended}) e),
    t.content_hash, t.kind, t.error, t.host, t.at
FROM packages p
    LEFT JOIN package_archives a ON a.content_hash = p.content_hash
    LEFT JOIN package_routes r ON r.workflow_type = p.workflow_type
    LEFT JOIN package_splits s ON s.workflow_type = p.workflow_type
    LEFT JOIN package_troubles t ON t.content_hash = p.content_hash
WHERE (p.deployed_at, p.workflow_type, p.content_hash) < (:deployed_at, :workflow_type, :content_hash)
    AND :of_type IN ('', p.workflow_type) AND :of_package IN ('', a.package)
ORDER BY p.deployed_at DESC, p.workflow_type DESC, p.content_hash DESC LIMIT :limit

-- name: hashes_between
SELECT DISTINCT content_hash FROM packages WHERE content_hash BETWEEN :low AND :high ORDER BY content_hash LIMIT :limit

-- name: hashes_of_type
SELECT content_hash FROM packages
WHERE workflow_type = :workflow_type AND content_hash BETWEEN :low AND :high ORDER BY content_hash LIMIT :limit

-- name: walk_versions
SELECT workflow_type, content_hash, deployed_at FROM packages
WHERE (deployed_at, workflow_type, content_hash) > (:deployed_at, :workflow_type, :content_hash)
ORDER BY deployed_at, workflow_type, content_hash LIMIT :limit

-- name: collectable
SELECT p.workflow_type, p.content_hash FROM (
    SELECT workflow_type, content_hash,
        row_number() OVER (PARTITION BY workflow_type ORDER BY deployed_at DESC, content_hash DESC) AS place
    FROM packages
) p
WHERE p.place > :keep
    AND NOT EXISTS (
        SELECT 1 FROM package_routes r WHERE r.workflow_type = p.workflow_type AND r.content_hash = p.content_hash)
    AND NOT EXISTS (
        SELECT 1 FROM package_splits s WHERE s.workflow_type = p.workflow_type AND s.content_hash = p.content_hash)
    AND NOT EXISTS (
        SELECT 1 FROM flows f WHERE f.workflow_type = p.workflow_type AND f.package_hash = p.content_hash)
ORDER BY p.workflow_type, p.content_hash

-- name: routed_manifest
SELECT a.manifest FROM package_routes r JOIN package_archives a ON a.content_hash = r.content_hash
WHERE r.workflow_type = :workflow_type
    AND NOT EXISTS (SELECT 1 FROM package_splits s WHERE s.workflow_type = r.workflow_type)
