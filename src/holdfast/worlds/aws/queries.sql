-- name: attach
INSERT INTO aws_worlds (world, epoch, holder, attached_at) VALUES (:world, :at, :holder, :at)
ON CONFLICT (world) DO UPDATE SET epoch = aws_worlds.epoch + 1, holder = :holder, attached_at = :at
WHERE CAST(:after AS bigint) IS NULL OR aws_worlds.epoch = :after
RETURNING num, epoch

-- name: get_world
SELECT num, epoch, holder FROM aws_worlds WHERE world = :world

-- name: tell_holder
UPDATE aws_worlds SET holder = :holder WHERE num = :num AND epoch = :epoch

-- name: list_worlds
SELECT world FROM aws_worlds ORDER BY world

-- name: fence
SELECT 1 FROM aws_worlds WHERE num = :num AND epoch = :epoch

-- name: fence [postgres]
SELECT 1 FROM aws_worlds WHERE num = :num AND epoch = :epoch FOR SHARE

-- name: list_resources
SELECT service, account_id, region, name, record FROM aws_resources WHERE world = :num

-- name: scope_resources
SELECT name, record FROM aws_resources
WHERE world = :num AND service = :service AND account_id = :account AND region = :region

-- name: list_scopes
SELECT DISTINCT account_id, region FROM aws_resources WHERE world = :num

-- name: put_resources
WITH r AS (@rows(service text, account_id text, region text, digest text, name text, record text))
INSERT INTO aws_resources (world, service, account_id, region, digest, name, record)
SELECT :num, service, account_id, region, digest, name, record FROM r WHERE TRUE
ON CONFLICT (world, service, account_id, region, digest) DO UPDATE SET record = excluded.record

-- name: delete_resources
WITH r AS (@rows(service text, account_id text, region text, digest text))
DELETE FROM aws_resources
WHERE world = :num AND (service, account_id, region, digest) IN (SELECT service, account_id, region, digest FROM r)

-- name: some_resources
SELECT service, account_id, region, digest FROM aws_resources
WHERE world IN (SELECT num FROM aws_worlds WHERE world = :world) LIMIT :limit

-- name: drop_resources
WITH r AS (@rows(service text, account_id text, region text, digest text))
DELETE FROM aws_resources WHERE world IN (SELECT num FROM aws_worlds WHERE world = :world)
    AND (service, account_id, region, digest) IN (SELECT service, account_id, region, digest FROM r)

-- name: drop_world
DELETE FROM aws_worlds WHERE world = :world
