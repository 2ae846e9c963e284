-- part: run
r.id, r.goal, r.graph, r.status, r.hitl_mode, r.epoch, r.created_at, r.updated_at, r.num

-- part: event
e.seq, e.wave_index, e.kind, e.payload, e.at, e.superseded_at

-- part: left_behind
r.status = 'running' AND NOT EXISTS (
    SELECT 1 FROM workers w WHERE w.epoch = r.epoch AND w.fenced_at IS NULL AND w.released_at IS NULL
)

-- name: insert_run
INSERT INTO council_runs (id, goal, graph, status, hitl_mode, epoch, created_at, updated_at)
VALUES (:id, :goal, :graph, :status, :hitl_mode, :epoch, :created_at, :updated_at)
ON CONFLICT DO NOTHING

-- name: get_run
SELECT {run} FROM council_runs r WHERE r.id = :id

-- name: lock_run
SELECT {run} FROM council_runs r WHERE r.id = :id

-- name: lock_run [postgres]
SELECT {run} FROM council_runs r WHERE r.id = :id FOR UPDATE

-- name: share_worker
SELECT 1 FROM workers WHERE epoch = :epoch AND fenced_at IS NULL AND released_at IS NULL

-- name: share_worker [postgres]
SELECT 1 FROM workers WHERE epoch = :epoch AND fenced_at IS NULL AND released_at IS NULL FOR SHARE

-- name: move_run
UPDATE council_runs SET status = :status, epoch = :epoch, updated_at = :now WHERE num = :num

-- name: set_graph
UPDATE council_runs SET graph = :graph, updated_at = :now WHERE num = :num

-- name: list_runs
SELECT {run} FROM council_runs r
WHERE (r.created_at, r.num) < (:at, :num)
ORDER BY r.created_at DESC, r.num DESC LIMIT :limit

-- name: list_by_status
SELECT {run} FROM council_runs r
WHERE r.status = :status AND (r.created_at, r.num) < (:at, :num)
ORDER BY r.created_at DESC, r.num DESC LIMIT :limit

-- name: next_seq
UPDATE council_runs SET last_seq = last_seq + 1 WHERE id = :id RETURNING num, last_seq

-- name: insert_event
INSERT INTO council_events (run, seq, wave_index, kind, payload, at)
VALUES (:run, :seq, :wave_index, :kind, :payload, :at)

-- name: list_live
SELECT {event} FROM council_events e
WHERE e.run = (SELECT num FROM council_runs WHERE id = :id) AND e.seq > :seq AND e.superseded_at IS NULL ORDER BY e.seq LIMIT :limit

-- name: list_events
SELECT {event} FROM council_events e
WHERE e.run = (SELECT num FROM council_runs WHERE id = :id) AND e.seq > :seq ORDER BY e.seq LIMIT :limit

-- name: lock_left_behind
SELECT r.num, r.epoch FROM council_runs r WHERE {left_behind}

-- name: lock_left_behind [postgres]
SELECT r.num, r.epoch FROM council_runs r WHERE {left_behind} ORDER BY r.num FOR UPDATE OF r

-- name: interrupt
WITH n AS (@rows(num bigint, epoch bigint))
UPDATE council_runs AS r SET status = 'interrupted', epoch = NULL, updated_at = :now, last_seq = last_seq + 1
WHERE r.num IN (SELECT num FROM n) AND {left_behind}
RETURNING num, last_seq

-- name: insert_events
WITH n AS (@rows(run bigint, seq bigint, payload text))
INSERT INTO council_events (run, seq, kind, payload, at) SELECT run, seq, :kind, payload, :at FROM n

-- name: last_wave
SELECT max(wave_index) FROM council_events WHERE run = :run AND superseded_at IS NULL

-- name: supersede
UPDATE council_events SET superseded_at = :now
WHERE run = :run AND superseded_at IS NULL AND wave_index > :wave_index

-- name: prune_superseded
DELETE FROM council_events WHERE (run, seq) IN (
    SELECT run, seq FROM council_events WHERE superseded_at < :before LIMIT :limit
)

-- name: prune_superseded [postgres]
WITH doomed AS MATERIALIZED ( -- a plan that asked a subquery again would find others, past the limit
    SELECT run, seq FROM council_events WHERE superseded_at < :before LIMIT :limit FOR UPDATE SKIP LOCKED
)
DELETE FROM council_events WHERE (run, seq) IN (SELECT run, seq FROM doomed)

-- name: prunable
SELECT num FROM council_runs
WHERE status IN ('completed', 'failed', 'cancelled') AND updated_at < :before LIMIT :limit

-- name: prunable [postgres]
SELECT num FROM council_runs
WHERE status IN ('completed', 'failed', 'cancelled') AND updated_at < :before LIMIT :limit FOR UPDATE SKIP LOCKED

-- name: prune_events
WITH n AS (@rows(num bigint)) DELETE FROM council_events WHERE run IN (SELECT num FROM n)

-- name: prune_runs
WITH n AS (@rows(num bigint)) DELETE FROM council_runs WHERE num IN (SELECT num FROM n)
