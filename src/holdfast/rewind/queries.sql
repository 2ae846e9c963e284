-- part: kept
flow = :flow AND superseded_by IS NULL AND runtime = 'managed'

-- name: opened
SELECT num, run_id, result FROM steps
WHERE {kept} AND run_id >= 'world:' AND run_id < 'world;' AND status = 'succeeded' ORDER BY num

-- name: taken
SELECT name, position FROM world_checkpoints
WHERE run = :run AND world = :world AND NOT superseded ORDER BY position, num

-- name: past
UPDATE world_checkpoints SET superseded = TRUE WHERE run = :run AND world = :world AND NOT superseded

-- name: details
SELECT num, status, updated_at FROM steps WHERE {kept} AND num BETWEEN :first AND :last

-- name: worker
SELECT w.host, w.pid FROM flows f JOIN workers w ON w.epoch = f.epoch WHERE f.num = :flow

-- name: rewrite
UPDATE steps SET result = :result WHERE flow = :flow AND run_id = :run_id

-- name: copy_checkpoints
INSERT INTO world_checkpoints (world, name, run, position, created_at)
SELECT :copy, c.name, :fork_id, n.num, c.created_at
FROM world_checkpoints c JOIN steps s ON s.num = c.position JOIN steps n ON n.flow = :fork AND n.run_id = s.run_id
WHERE c.run = :run AND c.world = :world AND NOT c.superseded AND c.position <= :cut
ORDER BY c.position, c.num

-- name: copy_states
WITH r AS (@rows(account text, region text, to_account text, to_region text))
INSERT INTO world_states (checkpoint, service, account, region, manifest, resources)
SELECT d.num, t.service, r.to_account, r.to_region, t.manifest, t.resources
FROM world_checkpoints c JOIN steps s ON s.num = c.position JOIN steps n ON n.flow = :fork AND n.run_id = s.run_id
    JOIN world_checkpoints d ON d.run = :fork_id AND d.world = :copy AND d.position = n.num AND NOT d.superseded
    JOIN world_states t ON t.checkpoint = c.num JOIN r ON r.account = t.account AND r.region = t.region
WHERE c.run = :run AND c.world = :world AND NOT c.superseded AND c.position <= :cut

-- part: left
FROM world_checkpoints c WHERE c.run = :flow AND c.world = :world

-- name: note_world
INSERT INTO flow_worlds (flow, world, own, folders) VALUES (:flow, :world, :own, :folders)
ON CONFLICT (flow, world) DO UPDATE SET own = excluded.own, folders = excluded.folders, pruned = FALSE

-- name: folders
SELECT folders FROM flow_worlds WHERE flow = :flow AND world = :world

-- name: bury_worlds
WITH r AS (@rows(num bigint))
UPDATE flow_worlds SET pruned = TRUE
WHERE flow IN (SELECT CAST(f.id AS text) FROM r CROSS JOIN flows f WHERE f.num = r.num)

-- name: buried_worlds
SELECT flow, world, own, folders FROM flow_worlds
WHERE pruned AND (flow, world) > (:flow, :world) ORDER BY flow, world LIMIT :limit

-- name: buried_world
SELECT flow, world, own, folders FROM flow_worlds WHERE flow = :flow AND world = :world AND pruned

-- name: own_checkpoints
SELECT num FROM world_checkpoints WHERE world = :world ORDER BY num LIMIT :limit

-- name: left_checkpoints
SELECT c.num {left} AND NOT EXISTS (
    SELECT 1 FROM world_restores r WHERE r.world = c.world AND (r.checkpoint = c.num OR r.before = c.num))
LIMIT :limit

-- name: drop_states
WITH r AS (@rows(num bigint)) DELETE FROM world_states WHERE checkpoint IN (SELECT num FROM r)

-- name: drop_checkpoints
WITH r AS (@rows(num bigint)) DELETE FROM world_checkpoints WHERE num IN (SELECT num FROM r)

-- name: drop_restore
DELETE FROM world_restores WHERE world = :world

-- name: drop_scopes
DELETE FROM world_scopes WHERE world = :world

-- name: drop_world
DELETE FROM worlds WHERE name = :world

-- name: world_cleared
DELETE FROM flow_worlds WHERE flow = :flow AND world = :world AND NOT EXISTS (SELECT 1 {left})
