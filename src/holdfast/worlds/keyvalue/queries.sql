-- part: scope
s.world = :world AND s.account_id = :account_id AND s.region = :region

-- name: insert_scope
INSERT INTO value_scopes (world, account_id, region) VALUES (:world, :account_id, :region) ON CONFLICT DO NOTHING

-- name: get_scope
SELECT s.num, s.revision FROM value_scopes s WHERE {scope}

-- name: lock_scope
SELECT s.num, s.revision FROM value_scopes s WHERE {scope}

-- name: lock_scope [postgres]
SELECT s.num, s.revision FROM value_scopes s WHERE {scope} FOR NO KEY UPDATE

-- name: count_up
UPDATE value_scopes SET revision = revision + 1 WHERE num = :num

-- name: get_value
SELECT v.value FROM value_scopes s JOIN world_values v ON v.scope = s.num WHERE {scope} AND v.key = :key

-- name: list_values
SELECT v.key, v.value FROM value_scopes s JOIN world_values v ON v.scope = s.num
WHERE {scope} AND v.key >= :start AND v.key < :end ORDER BY v.key LIMIT :limit

-- name: list_keys
SELECT v.key FROM value_scopes s JOIN world_values v ON v.scope = s.num
WHERE {scope} AND v.key >= :start AND v.key < :end ORDER BY v.key LIMIT :limit

-- name: put_values
WITH r AS (@rows(key text, value text))
INSERT INTO world_values (scope, key, value) SELECT :num, key, value FROM r WHERE TRUE
ON CONFLICT (scope, key) DO UPDATE SET value = excluded.value

-- name: delete_values
WITH r AS (@rows(key text)) DELETE FROM world_values WHERE scope = :num AND key IN (SELECT key FROM r)

-- name: insert_undo
INSERT INTO value_undo (scope, revision, before) VALUES (:num, :revision, :before)

-- name: list_undo
SELECT before FROM value_undo WHERE scope = :num AND revision > :revision ORDER BY revision

-- name: prune_undo
DELETE FROM value_undo WHERE scope = :num AND revision <= :revision
