-- name: needed
WITH RECURSIVE version (package_hash) AS (
    SELECT (SELECT min(f.package_hash) FROM flows f WHERE f.package_hash > '' AND f.due_at IS NOT NULL)
    UNION ALL
    SELECT (SELECT min(f.package_hash) FROM flows f WHERE f.package_hash > v.package_hash AND f.due_at IS NOT NULL)
    FROM version v WHERE v.package_hash IS NOT NULL
)
SELECT v.package_hash,
    (SELECT min(f.due_at) FROM flows f WHERE f.package_hash = v.package_hash AND f.due_at IS NOT NULL)
FROM version v WHERE v.package_hash IS NOT NULL

-- name: deployed
SELECT workflow_type, content_hash FROM packages ORDER BY workflow_type, content_hash
