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
