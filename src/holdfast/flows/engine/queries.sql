-- part: alive
EXISTS (SELECT 1 FROM workers WHERE epoch = :epoch AND fenced_at IS NULL)

-- part: fence
fence AS MATERIALIZED (SELECT 1 FROM workers WHERE epoch = :epoch AND fenced_at IS NULL FOR SHARE)

-- part: claimed
num, id, workflow_type, args, attempt, seed, started_at, cancel_requested, revision, crashes, tied, state, depth,
owner_session_key, queue

-- part: record
flow bigint, run_id text, task text, status text, attempt int, digest bigint, result text, error text,
created_at bigint, updated_at bigint, blob text

-- part: ending
flow bigint, status text, result text, error text, at bigint, tied boolean

-- part: requested
bucket int, key text, workflow_type text, owner_session_key text, goal text, created_at bigint, seed bigint, args text,
args_digest bigint, adopted boolean, due_at bigint, queue text, queue_key text, priority int, dedupe text, tags text,
parent bigint, parent_close text, depth int

-- part: pinned
routed AS (
    SELECT r.*, (SELECT content_hash FROM route WHERE route.workflow_type = r.workflow_type) AS route_hash FROM r
),
pinned AS (
    SELECT routed.*, fence.epoch, CASE WHEN route_hash IS NOT NULL THEN coalesce((
        SELECT split.content_hash FROM split
        WHERE split.workflow_type = routed.workflow_type AND routed.bucket < split.share
    ), route_hash) END AS package_hash
    FROM routed LEFT JOIN fence ON adopted AND route_hash IS NULL
)

-- part: born
INSERT INTO flows (id, key, workflow_type, package_hash, owner_session_key, goal, state, status, attempt, revision,
    created_at, updated_at, seed, args, args_digest, epoch, started_at, due_at, queue, queue_key, priority, turn, dedupe,
    tags, parent, parent_close, depth, tied)
SELECT id, key, workflow_type, package_hash, owner_session_key, goal, '{}',
    CASE WHEN epoch IS NOT NULL THEN 'running' ELSE 'created' END, 1,
    CASE WHEN epoch IS NOT NULL THEN 1 ELSE 0 END, created_at, created_at, seed, args, args_digest,
    epoch,
    CASE WHEN epoch IS NOT NULL THEN created_at END,
    CASE WHEN epoch IS NOT NULL THEN NULL ELSE due_at END,
    queue, queue_key, priority, CASE WHEN queue IS NOT NULL AND due_at <= created_at THEN 2 END, dedupe, tags,
    parent, parent_close, depth, parent IS NOT NULL
FROM pinned WHERE TRUE
ON CONFLICT DO NOTHING
RETURNING id, num, epoch, seed

-- part: stood
SELECT f.id, f.key, f.workflow_type, f.args_digest, f.num, f.seed, f.epoch, f.started_at, f.cancel_requested, f.queue,
    f.dedupe, f.status NOT IN ('finished', 'failed', 'cancelled')
FROM r JOIN flows f ON f.id = r.id
UNION ALL
SELECT f.id, f.key, f.workflow_type, f.args_digest, f.num, f.seed, f.epoch, f.started_at, f.cancel_requested, f.queue,
    f.dedupe, f.status NOT IN ('finished', 'failed', 'cancelled')
FROM r JOIN flows f ON f.key = r.key AND f.workflow_type = r.workflow_type
UNION ALL
SELECT f.id, f.key, f.workflow_type, f.args_digest, f.num, f.seed, f.epoch, f.started_at, f.cancel_requested, f.queue,
    f.dedupe, TRUE
FROM r JOIN flows f ON f.queue = r.queue AND f.dedupe = r.dedupe
WHERE f.dedupe IS NOT NULL AND f.status NOT IN ('finished', 'failed', 'cancelled')

-- part: freed
UPDATE flows SET
    crash_mark = :mark, epoch = NULL, updated_at = :now, revision = revision + 1,
    due_at = CASE WHEN paused THEN NULL ELSE :now END,
    crashes = CASE
        WHEN EXISTS (SELECT 1 FROM steps s WHERE s.flow = flows.num AND s.num > flows.crash_mark) THEN 1
        ELSE crashes + 1 END

-- part: orphans
SELECT f.num FROM workers w JOIN flows f ON f.epoch = w.epoch WHERE w.fenced_at IS NOT NULL AND w.released_at IS NULL

-- part: parked_until
CASE WHEN paused THEN NULL
    WHEN cancel_requested OR touched
        OR EXISTS (SELECT 1 FROM waits w WHERE w.flow = flows.num AND w.answered_at IS NOT NULL) THEN :now
    ELSE r.due_at END

-- part: told
s.flow, s.run_id, s.task, s.status, s.attempt, s.digest, s.result, s.error, s.created_at, s.updated_at, s.blob

-- name: is_alive
SELECT 1 FROM workers WHERE epoch = :epoch AND fenced_at IS NULL

-- name: is_alive [postgres]
SELECT 1 FROM workers WHERE epoch = :epoch AND fenced_at IS NULL FOR SHARE

-- name: append
WITH r AS (@rows({record}))
INSERT INTO steps (flow, run_id, runtime, task, status, attempt, digest, result, error, epoch, created_at, updated_at,
    blob)
SELECT flow, run_id, 'managed', task, status, attempt, digest, result, error, :epoch, created_at, updated_at, blob
FROM r WHERE {alive}
ON CONFLICT DO NOTHING

-- name: append [postgres]
WITH r AS (@rows({record})), {fence}
INSERT INTO steps (flow, run_id, runtime, task, status, attempt, digest, result, error, epoch, created_at, updated_at,
    blob)
SELECT flow, run_id, 'managed', task, status, attempt, digest, result, error, :epoch, created_at, updated_at, blob
FROM r WHERE EXISTS (SELECT 1 FROM fence)
ON CONFLICT DO NOTHING

-- name: appended
WITH r AS (@rows(flow bigint, run_id text))
SELECT count(*) FROM r JOIN steps s ON s.flow = r.flow AND s.run_id = r.run_id AND s.epoch = :epoch

-- name: finish
WITH r AS (@rows({ending}))
UPDATE flows SET
    status = CASE WHEN flows.cancel_requested THEN 'cancelled' ELSE r.status END,
    result = CASE WHEN flows.cancel_requested THEN NULL ELSE r.result END,
    error = r.error, finished_at = r.at, updated_at = r.at, revision = flows.revision + 1, epoch = NULL, paused = FALSE
FROM r WHERE flows.num = r.flow AND flows.epoch = :epoch AND (r.tied OR NOT flows.tied) AND {alive}
RETURNING num, status

-- name: finish [postgres]
WITH r AS (@rows({ending})), {fence}
UPDATE flows SET
    status = CASE WHEN flows.cancel_requested THEN 'cancelled' ELSE r.status END,
    result = CASE WHEN flows.cancel_requested THEN NULL ELSE r.result END,
    error = r.error, finished_at = r.at, updated_at = r.at, revision = flows.revision + 1, epoch = NULL, paused = FALSE
FROM r WHERE flows.num = r.flow AND flows.epoch = :epoch AND (r.tied OR NOT flows.tied) AND EXISTS (SELECT 1 FROM fence)
RETURNING num, flows.status

-- name: ending
WITH r AS (@rows(flow bigint, attempt int, anew text))
SELECT f.num FROM r JOIN flows f ON f.num = r.flow WHERE f.epoch = :epoch AND (r.anew IS NULL OR f.attempt = r.attempt)

-- name: ended
WITH r AS (@rows(flow bigint))
SELECT num, status FROM flows WHERE num IN (SELECT flow FROM r) AND status NOT IN ('created', 'running', 'waiting')

-- name: lock_flows
WITH r AS (@rows(flow bigint, due_at bigint))
SELECT num FROM flows WHERE num IN (SELECT flow FROM r)

-- name: lock_flows [postgres]
WITH r AS (@rows(flow bigint, due_at bigint))
SELECT num FROM flows WHERE num IN (SELECT flow FROM r) ORDER BY num FOR NO KEY UPDATE

-- name: park
WITH r AS (@rows(flow bigint, due_at bigint))
UPDATE flows SET status = 'waiting', epoch = NULL, updated_at = :now, revision = flows.revision + 1,
    turn = NULL,
    due_at = {parked_until}
FROM r WHERE flows.num = r.flow AND flows.epoch = :epoch AND {alive}

-- name: park [postgres]
WITH r AS (@rows(flow bigint, due_at bigint)), {fence}
UPDATE flows SET status = 'waiting', epoch = NULL, updated_at = :now, revision = flows.revision + 1,
    turn = NULL,
    due_at = {parked_until}
FROM r WHERE flows.num = r.flow AND flows.epoch = :epoch AND EXISTS (SELECT 1 FROM fence)

-- name: halt
UPDATE flows SET status = CASE WHEN cancel_requested THEN 'cancelled' ELSE status END,
    finished_at = CASE WHEN cancel_requested THEN CAST(:now AS bigint) END,
    paused = NOT cancel_requested, epoch = NULL, due_at = NULL, error = :error, updated_at = :now,
    revision = revision + 1
WHERE num = :flow AND epoch = :epoch AND {alive}
RETURNING status

-- name: claim
UPDATE flows SET status = 'running', epoch = :epoch, due_at = NULL, turn = NULL, touched = FALSE,
    started_at = coalesce(started_at, :now), updated_at = :now, revision = revision + 1
WHERE num IN (
    SELECT num FROM flows
    WHERE served = :served AND due_at <= :now AND queue IS NULL AND crashes BETWEEN :least AND :most
    ORDER BY due_at LIMIT :limit
) AND {alive}
RETURNING {claimed}

-- name: claim [postgres]
WITH {fence}
UPDATE flows SET status = 'running', epoch = :epoch, due_at = NULL, turn = NULL, touched = FALSE,
    started_at = coalesce(started_at, :now), updated_at = :now, revision = revision + 1
WHERE num IN (
    SELECT num FROM flows
    WHERE served = :served AND due_at <= :now AND queue IS NULL AND crashes BETWEEN :least AND :most
    ORDER BY due_at LIMIT :limit FOR UPDATE SKIP LOCKED
) AND EXISTS (SELECT 1 FROM fence)
RETURNING {claimed}

-- name: due_types
WITH r AS (@rows(name text)),
first AS (
    SELECT r.name, (
        SELECT min(f.due_at) FROM flows f WHERE f.served = r.name AND f.due_at IS NOT NULL AND f.queue IS NULL
    ) AS due_at FROM r
)
SELECT name, due_at FROM first WHERE due_at IS NOT NULL ORDER BY due_at, name

-- name: histories
WITH r AS (@rows(flow bigint)),
first AS ( -- by numbers alone: sorting whole records would hold all of a long history in memory
    SELECT s.flow, s.num FROM r JOIN steps s ON s.flow = r.flow
    WHERE s.runtime = 'managed' AND s.superseded_by IS NULL ORDER BY s.flow, s.num LIMIT :limit
)
SELECT {told} FROM first JOIN steps s ON s.num = first.num ORDER BY first.flow, first.num

-- name: record_numbers
SELECT num FROM steps WHERE flow = :flow AND runtime = 'managed' AND superseded_by IS NULL ORDER BY num

-- name: records
WITH r AS (@rows(num bigint))
SELECT {told} FROM r JOIN steps s ON s.num = r.num ORDER BY s.num

-- name: blob_sizes
WITH r AS (@rows(digest text))
SELECT b.digest, b.size FROM r JOIN blobs b ON b.digest = r.digest

-- name: progress
WITH r AS (@rows(flow bigint))
SELECT p.flow, p.run_id, p.done, p.total, p.note, p.at FROM r JOIN step_progress p ON p.flow = r.flow

-- name: report
WITH r AS (@rows(flow bigint, run_id text, done double precision, total double precision, note text, at bigint))
INSERT INTO step_progress (flow, run_id, done, total, note, at)
SELECT flow, run_id, done, total, note, at FROM r WHERE TRUE
ON CONFLICT (flow, run_id) DO UPDATE SET done = excluded.done, total = excluded.total, note = excluded.note,
    at = excluded.at

-- name: forget_progress
WITH r AS (@rows(flow bigint, run_id text))
DELETE FROM step_progress WHERE (flow, run_id) IN (SELECT flow, run_id FROM r)

-- name: recorded
SELECT {told} FROM steps s WHERE s.flow = :flow AND s.run_id = :run_id

-- name: step_number
SELECT num FROM steps WHERE flow = :flow AND run_id = :run_id

-- name: is_touched
SELECT 1 FROM flows WHERE epoch = :epoch AND touched LIMIT 1

-- name: attend
UPDATE flows SET touched = FALSE WHERE epoch = :epoch AND touched
RETURNING num, cancel_requested, paused

-- name: publish
WITH r AS (@rows(flow bigint, state text))
UPDATE flows SET state = r.state, revision = flows.revision + 1
FROM r WHERE flows.num = r.flow AND flows.epoch = :epoch AND {alive}

-- name: publish [postgres]
WITH r AS (@rows(flow bigint, state text)), {fence}
UPDATE flows SET state = r.state, revision = flows.revision + 1
FROM r WHERE flows.num = r.flow AND flows.epoch = :epoch AND EXISTS (SELECT 1 FROM fence)

-- name: tie
WITH r AS (@rows(flow bigint))
UPDATE flows SET tied = TRUE WHERE num IN (SELECT flow FROM r) AND NOT tied

-- name: is_ancestor
WITH RECURSIVE above(num) AS (
    SELECT CAST(:flow AS bigint)
    UNION
    SELECT f.parent FROM above JOIN flows f ON f.num = above.num WHERE f.parent IS NOT NULL
)
SELECT 1 FROM above JOIN flows f ON f.num = above.num
WHERE f.id = :id OR (f.key = :key AND f.workflow_type = :workflow_type)

-- name: begin_anew
UPDATE flows SET args = :args, attempt = attempt + 1, seed = :seed, started_at = :now, epoch = NULL, touched = FALSE,
    status = 'running', due_at = CASE WHEN paused THEN NULL ELSE CAST(:now AS bigint) END, turn = NULL, updated_at = :now,
    crashes = 0, revision = revision + 1
WHERE num = :flow AND epoch = :epoch AND attempt = :attempt AND NOT cancel_requested AND {alive}

-- name: keep_state
INSERT INTO steps (flow, run_id, runtime, task, status, attempt, digest, result, created_at, updated_at)
SELECT num, 'patch#' || attempt || '@' || attempt, 'managed', 'patch', 'succeeded', 1, 0, state, :now, :now
FROM flows WHERE num = :flow AND state <> '{}'

-- name: forget_steps
DELETE FROM steps WHERE flow = :flow

-- name: forget_taken
DELETE FROM inbox WHERE flow = :flow

-- name: forget_all_progress
DELETE FROM step_progress WHERE flow = :flow

-- name: blobs_of
SELECT DISTINCT blob FROM steps WHERE flow = :flow AND blob IS NOT NULL

-- name: add_event
INSERT INTO flow_events (flow, id, kind, payload, at) VALUES (:flow, :id, :kind, :payload, :at)

-- name: add_events
WITH r AS (@rows(flow bigint, id text, payload text))
INSERT INTO flow_events (flow, id, kind, payload, at)
SELECT flow, id, :kind, payload, :at FROM r

-- name: add_events [postgres]
WITH r AS (@rows(flow bigint, id uuid, payload text))
INSERT INTO flow_events (flow, id, kind, payload, at)
SELECT flow, id, :kind, payload, :at FROM r

-- name: register
INSERT INTO workers (host, pid, workflow_types, beat, lease_seconds, started_at, seen_at)
VALUES (:host, :pid, :workflow_types, 0, :lease_seconds, :now, :now)
RETURNING epoch

-- name: beat
UPDATE workers SET beat = beat + 1, seen_at = :now, workflow_types = :workflow_types
WHERE epoch = :epoch AND fenced_at IS NULL

-- name: unreleased
SELECT epoch, beat, host, pid, lease_seconds, fenced_at FROM workers WHERE released_at IS NULL

-- name: fence_expired
UPDATE workers SET fenced_at = :now WHERE epoch = :epoch AND beat = :beat AND fenced_at IS NULL

-- name: fence_expired [postgres]
UPDATE workers SET fenced_at = :now WHERE epoch IN (
    SELECT epoch FROM workers WHERE epoch = :epoch AND beat = :beat AND fenced_at IS NULL FOR UPDATE SKIP LOCKED
)

-- name: prune_workers
DELETE FROM workers WHERE released_at < :before

-- name: retire
UPDATE workers SET fenced_at = coalesce(fenced_at, :now) WHERE epoch = :epoch

-- name: let_go
UPDATE flows SET epoch = NULL, due_at = CASE WHEN paused THEN NULL ELSE :now END, updated_at = :now, revision = revision + 1
WHERE num IN (SELECT num FROM flows WHERE epoch = :epoch LIMIT :limit)

-- name: take_over
{freed} WHERE num IN ({orphans} LIMIT :limit)
RETURNING num, crashes

-- name: take_over [postgres]
{freed} WHERE num IN ({orphans} LIMIT :limit FOR UPDATE OF f SKIP LOCKED)
RETURNING num, crashes

-- name: step_mark
SELECT coalesce(max(num), 0) FROM steps

-- name: released
UPDATE workers SET released_at = :now
WHERE fenced_at IS NOT NULL AND released_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM flows WHERE flows.epoch = workers.epoch)

-- name: poison
UPDATE flows SET status = 'failed', error = :error, due_at = NULL, turn = NULL, paused = FALSE, finished_at = :now, updated_at = :now,
    revision = revision + 1
WHERE num = :flow AND epoch IS NULL AND status IN ('created', 'running', 'waiting')

-- name: insert_flows
WITH r AS (@rows(id text, {requested})),
fence AS (SELECT epoch FROM workers WHERE epoch = :epoch AND fenced_at IS NULL),
route AS (SELECT workflow_type, content_hash FROM package_routes),
split AS (SELECT workflow_type, content_hash, share FROM package_splits),
{pinned}
{born}

-- name: insert_flows [postgres]
WITH r AS (@rows(id uuid, {requested})),
fence AS MATERIALIZED (SELECT epoch FROM workers WHERE epoch = :epoch AND fenced_at IS NULL FOR SHARE),
route AS MATERIALIZED (
    SELECT workflow_type, content_hash FROM package_routes
    WHERE workflow_type IN (SELECT workflow_type FROM r) ORDER BY workflow_type FOR SHARE
),
split AS MATERIALIZED ( -- by way of the routes, so that these are locked first, as by those who write both
    SELECT workflow_type, content_hash, share FROM package_splits
    WHERE workflow_type IN (SELECT workflow_type FROM route) ORDER BY workflow_type FOR SHARE
),
{pinned}
{born}

-- name: insert_tags
WITH r AS (@rows(name text, value text, created_at bigint, flow bigint))
INSERT INTO flow_tags (name, value, created_at, flow) SELECT name, value, created_at, flow FROM r WHERE TRUE
ON CONFLICT DO NOTHING

-- name: standing
WITH r AS (@rows(id text, key text, workflow_type text, queue text, dedupe text))
{stood}

-- name: standing [postgres]
WITH r AS (@rows(id uuid, key text, workflow_type text, queue text, dedupe text))
{stood}

-- name: outcomes
WITH r AS (@rows(id text))
SELECT id, status, result, error FROM flows
WHERE id IN (SELECT id FROM r) AND (status IN ('finished', 'failed', 'cancelled') OR paused)

-- name: outcomes [postgres]
WITH r AS (@rows(id uuid))
SELECT id, status, result, error FROM flows
WHERE id IN (SELECT id FROM r) AND (status IN ('finished', 'failed', 'cancelled') OR paused)

-- name: health_workers
SELECT w.epoch, w.host, w.pid, w.lease_seconds, w.workflow_types, w.started_at, w.seen_at,
    (SELECT count(*) FROM flows f WHERE f.epoch = w.epoch)
FROM workers w WHERE w.released_at IS NULL AND w.fenced_at IS NULL ORDER BY w.epoch

-- name: health_statuses
SELECT status, count(*) FROM flows GROUP BY status

-- name: health_halted
SELECT id, workflow_type, error, updated_at FROM flows
WHERE paused AND error IS NOT NULL AND status IN ('created', 'running', 'waiting')
ORDER BY updated_at, num LIMIT :limit

-- name: health_halted_count
SELECT count(*) FROM flows WHERE paused AND error IS NOT NULL AND status IN ('created', 'running', 'waiting')

-- name: health_wanted
SELECT served, sum(flows) FROM (
    SELECT served, count(*) AS flows FROM flows WHERE due_at IS NOT NULL GROUP BY served
    UNION ALL
    SELECT served, count(*) AS flows FROM flows WHERE epoch IS NOT NULL GROUP BY served
) AS wanted GROUP BY served ORDER BY served

-- name: step_counts
SELECT s.status, count(*) FROM steps s
WHERE s.flow = (SELECT num FROM flows WHERE id = :id) AND s.superseded_by IS NULL GROUP BY s.status

-- name: last_steps
SELECT s.run_id, s.status, s.attempt, s.created_at, s.updated_at, s.error FROM steps s
WHERE s.flow = (SELECT num FROM flows WHERE id = :id) AND s.superseded_by IS NULL ORDER BY s.num DESC LIMIT :limit

-- name: owner_statuses
SELECT CASE WHEN paused THEN 'halted' ELSE status END, count(*) FROM flows
WHERE owner_session_key = :owner GROUP BY 1

-- name: owner_records
SELECT f.id, s.run_id FROM flows f JOIN steps s ON s.flow = f.num WHERE f.owner_session_key = :owner

-- name: owner_resumed
SELECT count(DISTINCT f.num) FROM flows f JOIN flow_events e ON e.flow = f.num
WHERE f.owner_session_key = :owner AND e.kind = 'resumed'
