-- part: schedule
s.name, s.workflow_type, s.args, s.cron, s.every_micros, s.zone, s.overlap, s.catch_up, s.queue, s.tags, s.paused,
s.anchor_at, s.next_at, s.last_at, s.last_flow, s.buffered_at, s.revision, s.created_at, s.updated_at

-- part: due
FROM r CROSS JOIN schedules s
WHERE s.workflow_type = r.workflow_type AND s.next_at IS NOT NULL AND s.next_at <= :now AND NOT s.paused
ORDER BY s.next_at LIMIT :limit

-- part: ready
FROM r CROSS JOIN schedules s LEFT JOIN flows f ON f.id = s.last_flow
WHERE s.workflow_type = r.workflow_type AND s.buffered_at IS NOT NULL AND NOT s.paused
    AND (f.num IS NULL OR f.status IN ('finished', 'failed', 'cancelled'))

-- name: take_due
WITH r AS (@rows(workflow_type text)) SELECT {schedule} {due}

-- name: take_due [postgres]
WITH r AS (@rows(workflow_type text)) SELECT {schedule} {due} FOR UPDATE OF s SKIP LOCKED

-- name: take_ready
WITH r AS (@rows(workflow_type text)) SELECT {schedule} {ready} LIMIT :limit

-- name: take_ready [postgres]
WITH r AS (@rows(workflow_type text)) SELECT {schedule} {ready} LIMIT :limit FOR UPDATE OF s SKIP LOCKED

-- name: live
WITH r AS (@rows(id uuid))
SELECT f.id FROM r CROSS JOIN flows f
WHERE f.id = r.id AND f.status NOT IN ('finished', 'failed', 'cancelled')

-- name: move
WITH r AS (@rows(name text, next_at bigint, last_at bigint, last_flow uuid, buffered_at bigint))
UPDATE schedules SET next_at = r.next_at, last_at = r.last_at, last_flow = r.last_flow, buffered_at = r.buffered_at
FROM r WHERE schedules.name = r.name

-- name: next_due
WITH r AS (@rows(workflow_type text))
SELECT (
    SELECT min(due) FROM (
        SELECT (
            SELECT min(s.next_at) FROM schedules s
            WHERE s.workflow_type = r.workflow_type AND s.next_at IS NOT NULL AND NOT s.paused
        ) AS due FROM r
    ) AS dues
), EXISTS (SELECT 1 {ready})

-- name: get
SELECT {schedule} FROM schedules s WHERE s.name = :name

-- name: lock
SELECT {schedule} FROM schedules s WHERE s.name = :name

-- name: lock [postgres]
SELECT {schedule} FROM schedules s WHERE s.name = :name FOR UPDATE

-- name: list
SELECT {schedule} FROM schedules s WHERE s.name > :name ORDER BY s.name LIMIT :limit

-- name: put
INSERT INTO schedules (name, workflow_type, args, args_digest, cron, every_micros, zone, overlap, catch_up, queue, tags,
    paused, anchor_at, next_at, last_at, last_flow, buffered_at, revision, created_at, updated_at)
VALUES (:name, :workflow_type, :args, :args_digest, :cron, :every_micros, :zone, :overlap, :catch_up, :queue, :tags,
    :paused, :anchor_at, :next_at, :last_at, :last_flow, :buffered_at, :revision, :created_at, :updated_at)
ON CONFLICT (name) DO UPDATE SET
    workflow_type = excluded.workflow_type, args = excluded.args, args_digest = excluded.args_digest,
    cron = excluded.cron, every_micros = excluded.every_micros, zone = excluded.zone, overlap = excluded.overlap,
    catch_up = excluded.catch_up, queue = excluded.queue, tags = excluded.tags, paused = excluded.paused,
    anchor_at = excluded.anchor_at, next_at = excluded.next_at, last_at = excluded.last_at,
    last_flow = excluded.last_flow, buffered_at = excluded.buffered_at, revision = excluded.revision,
    updated_at = excluded.updated_at

-- name: delete
DELETE FROM schedules WHERE name = :name

-- name: known_workflows
WITH RECURSIVE known (name) AS (
    SELECT min(workflow_type) FROM flows
    UNION ALL
    SELECT (SELECT min(workflow_type) FROM flows WHERE workflow_type > known.name) FROM known
    WHERE known.name IS NOT NULL)
SELECT name FROM known WHERE name IS NOT NULL
UNION SELECT workflow_type FROM retention
