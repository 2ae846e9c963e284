-- part: checkpoint
c.num, c.world, c.name, c.run, c.position, c.superseded, c.created_at

-- name: add_world
INSERT INTO worlds (name, restores) VALUES (:world, 0) ON CONFLICT DO NOTHING

-- name: lock_world
SELECT restores FROM worlds WHERE name = :world

-- name: lock_world [postgres]
SELECT restores FROM worlds WHERE name = :world FOR UPDATE

-- name: world_standing
SELECT w.restores, r.token FROM worlds w LEFT JOIN world_restores r ON r.world = w.name WHERE w.name = :world

-- name: insert_checkpoint
INSERT INTO world_checkpoints (world, name, run, position, created_at) VALUES (:world, :name, :run, :position, :at)
ON CONFLICT DO NOTHING RETURNING num

-- name: insert_states
WITH r AS (@rows(service text, account text, region text, manifest text, resources bigint))
INSERT INTO world_states (checkpoint, service, account, region, manifest, resources)
SELECT :checkpoint, service, account, region, manifest, resources FROM r

-- name: get_checkpoint
SELECT {checkpoint} FROM world_checkpoints c WHERE c.num = :num

-- name: find_checkpoint
SELECT {checkpoint} FROM world_checkpoints c WHERE c.world = :world AND c.name = :name
ORDER BY c.superseded, c.num DESC LIMIT 1

-- name: worlds_with_checkpoint
SELECT DISTINCT world FROM world_checkpoints WHERE name = :name ORDER BY world LIMIT :limit

-- name: checkpoint_at
SELECT {checkpoint} FROM world_checkpoints c
WHERE c.run = :run AND c.world = :world AND NOT c.superseded AND c.position <= :position
ORDER BY c.position DESC, c.num DESC LIMIT 1

-- name: worlds_of_run
SELECT DISTINCT world FROM world_checkpoints WHERE run = :run AND NOT superseded ORDER BY world

-- name: supersede_checkpoints
UPDATE world_checkpoints SET superseded = TRUE WHERE run = :run AND NOT superseded AND position > :position

-- name: list_checkpoints
SELECT {checkpoint} FROM world_checkpoints c WHERE c.num < :num ORDER BY c.num DESC LIMIT :limit

-- name: list_world_checkpoints
SELECT {checkpoint} FROM world_checkpoints c WHERE c.world = :world AND c.num < :num ORDER BY c.num DESC LIMIT :limit

-- name: list_states
WITH r AS (@rows(num bigint))
SELECT s.checkpoint, s.service, s.account, s.region, s.manifest, s.resources
FROM world_states s JOIN r ON r.num = s.checkpoint
ORDER BY s.checkpoint, s.service, s.account, s.region

-- name: delete_states
DELETE FROM world_states WHERE checkpoint = :num

-- name: delete_checkpoint
DELETE FROM world_checkpoints WHERE num = :num

-- name: get_restore
SELECT checkpoint, before, run, actor, token, began_at FROM world_restores WHERE world = :world

-- name: begin_restore
INSERT INTO world_restores (world, checkpoint, before, run, actor, token, began_at)
VALUES (:world, :checkpoint, :before, :run, :actor, :token, :at)

-- name: redirect_restore
UPDATE world_restores SET checkpoint = :checkpoint, actor = :actor, token = :token WHERE world = :world AND run = :run

-- name: count_restore
UPDATE worlds SET restores = restores + 1 WHERE name = :world

-- name: take_restore_over
UPDATE world_restores SET token = :token WHERE world = :world

-- name: keep_before
UPDATE world_restores SET before = :before WHERE world = :world AND token = :token

-- name: abandon_restore
DELETE FROM world_restores WHERE world = :world

-- name: end_restore
DELETE FROM world_restores WHERE world = :world AND token = :token

-- name: list_scopes
SELECT account, region, owner FROM world_scopes WHERE world = :world ORDER BY account, region

-- name: add_scopes
WITH r AS (@rows(account text, region text))
INSERT INTO world_scopes (world, account, region) SELECT :world, account, region FROM r WHERE TRUE
ON CONFLICT DO NOTHING

-- name: claim_scope
UPDATE world_scopes SET owner = :run, claimed_at = :at
WHERE world = :world AND account = :account AND region = :region AND owner IS NULL

-- name: release_scope
UPDATE world_scopes SET owner = NULL, claimed_at = NULL
WHERE world = :world AND account = :account AND region = :region AND owner = :run

-- name: release_all_scopes
UPDATE world_scopes SET owner = NULL, claimed_at = NULL WHERE owner = :run

-- name: release_scopes_of
WITH r AS (@rows(run text))
UPDATE world_scopes SET owner = NULL, claimed_at = NULL WHERE owner IN (SELECT run FROM r)
