-- part: package
p.workflow_type, p.content_hash, b.body, p.deployed_at

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

-- name: pinned_flows
SELECT id FROM flows
WHERE workflow_type = :workflow_type AND package_hash = :content_hash
    AND status IN ('created', 'running', 'waiting')
LIMIT :limit
