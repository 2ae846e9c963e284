-- part: flow
f.id, f.workflow_type, f.package_hash, f.owner_session_key, f.goal, f.current_step, f.state, f.status, f.paused,
f.cancel_requested, f.attempt, f.revision, f.created_at, f.updated_at, f.key, f.args, f.result, f.error,
f.started_at, f.finished_at, f.epoch, f.due_at, f.crashes, f.tags, f.queue, f.queue_key, f.priority,
(SELECT p.id FROM flows p WHERE p.num = f.parent)

-- part: step
s.num, s.id, f.id, s.run_id, s.runtime, s.task, s.status, s.attempt, s.result, s.error, s.epoch, s.created_at,
s.updated_at, s.superseded_by, s.blob

-- part: ended
status IN ('finished', 'failed', 'cancelled')

-- part: over
status NOT IN ('created', 'running', 'waiting')

-- part: sought
f.created_at >= :since
AND (CAST(:workflow_type AS text) IS NULL OR f.workflow_type = :workflow_type)
AND (CAST(:status AS text) IS NULL OR f.status = :status)
AND (CAST(:owner AS text) IS NULL OR f.owner_session_key = :owner)
AND (CAST(:paused AS boolean) IS NULL OR f.paused = :paused)
AND (CAST(:halted AS boolean) IS NULL
    OR f.paused AND f.error IS NOT NULL AND f.status IN ('created', 'running', 'waiting'))
AND (CAST(:parent AS bigint) IS NULL OR f.parent = :parent)

-- name: insert_flow
INSERT INTO flows (id, key, workflow_type, package_hash, owner_session_key, goal, current_step, state, status,
    paused, cancel_requested, attempt, revision, created_at, updated_at, seed, args, args_digest, result, error,
    started_at, finished_at, due_at, tags, queue, queue_key, priority, parent, tied)
VALUES (:id, :key, :workflow_type, :package_hash, :owner_session_key, :goal, :current_step, :state, :status,
    :paused, :cancel_requested, :attempt, :revision, :created_at, :updated_at, :seed, :args, :args_digest, :result,
    :error, :started_at, :finished_at, :due_at, :tags, :queue, :queue_key, :priority, :parent, :tied)
ON CONFLICT DO NOTHING

-- name: get_flow
SELECT {flow} FROM flows f WHERE f.id = :id

-- name: flow_num
SELECT num, status FROM flows WHERE id = :id

-- name: flow_num [postgres]
SELECT num, status FROM flows WHERE id = :id FOR SHARE

-- name: list_by_owner
SELECT {flow}, f.num FROM flows f
WHERE f.owner_session_key = :owner AND (f.created_at, f.num) < (:at, :num)
ORDER BY f.created_at DESC, f.num DESC LIMIT :limit

-- name: list_by_status
SELECT {flow}, f.num FROM flows f
WHERE f.status = :status AND (f.updated_at, f.num) > (:at, :num)
ORDER BY f.updated_at, f.num LIMIT :limit

-- name: list_flows
SELECT {flow}, f.num FROM flows f WHERE f.num < :num ORDER BY f.num DESC LIMIT :limit

-- name: update_flow
UPDATE flows SET
    package_hash = :package_hash, owner_session_key = :owner_session_key, goal = :goal,
    current_step = :current_step, state = :state, status = :status, paused = :paused,
    cancel_requested = :cancel_requested, attempt = :attempt, result = :result, error = :error,
    started_at = :started_at, finished_at = :finished_at, updated_at = :updated_at, revision = revision + 1,
    due_at = CASE WHEN :idle THEN NULL WHEN epoch IS NULL THEN coalesce(CAST(:wake_at AS bigint), due_at) END,
    turn = CASE WHEN NOT :idle AND epoch IS NULL AND CAST(:wake_at AS bigint) IS NULL THEN turn END,
    touched = touched OR :touched
WHERE id = :id AND revision = :revision

-- name: append_event
INSERT INTO flow_events (flow, id, kind, payload, at)
SELECT num, :event_id, :kind, :payload, :at FROM flows WHERE id = :id

-- name: list_events
SELECT e.id, f.id, e.kind, e.payload, e.at, e.num
FROM flow_events e JOIN flows f ON f.num = e.flow
WHERE f.id = :id AND e.num < :num ORDER BY e.num DESC LIMIT :limit

-- name: insert_step
INSERT INTO steps (flow, run_id, id, runtime, task, status, attempt, result, error, epoch, created_at, updated_at,
    superseded_by)
VALUES (:flow, :run_id, :id, :runtime, :task, :status, :attempt, :result, :error, :epoch, :created_at, :updated_at,
    :superseded_by)
ON CONFLICT DO NOTHING

-- name: get_step
SELECT {step} FROM steps s JOIN flows f ON f.num = s.flow WHERE s.id = :id

-- name: get_step_by_num
SELECT {step} FROM steps s JOIN flows f ON f.num = s.flow WHERE s.num = :num

-- name: lock_step
SELECT s.status, f.status, s.num FROM steps s JOIN flows f ON f.num = s.flow WHERE s.num = :num

-- name: lock_step [postgres]
SELECT s.status, f.status, s.num FROM steps s JOIN flows f ON f.num = s.flow WHERE s.num = :num
FOR UPDATE OF s FOR SHARE OF f

-- name: update_step
UPDATE steps SET status = :status, attempt = :attempt, result = :result, error = :error, updated_at = :updated_at
WHERE num = :num

-- name: find_step
SELECT {step} FROM steps s JOIN flows f ON f.num = s.flow WHERE f.id = :id AND s.run_id = :run_id

-- name: list_steps
SELECT {step} FROM steps s JOIN flows f ON f.num = s.flow
WHERE f.id = :id AND s.num > :num ORDER BY s.num LIMIT :limit

-- name: last_event
SELECT e.payload FROM flow_events e JOIN flows f ON f.num = e.flow
WHERE f.id = :id AND e.kind = :kind ORDER BY e.num DESC LIMIT 1

-- name: progress
SELECT p.run_id, p.done, p.total, p.note, p.at FROM step_progress p JOIN flows f ON f.num = p.flow
WHERE f.id = :id ORDER BY p.run_id

-- name: prunable
SELECT num FROM flows WHERE {ended} AND updated_at < :before LIMIT :limit

-- name: prunable [postgres]
SELECT num FROM flows WHERE {ended} AND updated_at < :before LIMIT :limit FOR UPDATE SKIP LOCKED

-- name: expired
SELECT created_at, num FROM flows
WHERE workflow_type = :workflow_type AND status = :status AND (created_at, num) > (:at, :num)
    AND created_at < :before AND updated_at < :before
ORDER BY created_at, num LIMIT :limit

-- name: count_expired
SELECT count(*) FROM flows
WHERE workflow_type = :workflow_type AND status = :status AND created_at < :before AND updated_at < :before

-- name: lock_expired
WITH r AS (@rows(num bigint))
SELECT num FROM flows WHERE num IN (SELECT num FROM r) AND {over} AND updated_at < :before

-- name: lock_expired [postgres]
WITH r AS (@rows(num bigint))
SELECT num FROM flows WHERE num IN (SELECT num FROM r) AND {over} AND updated_at < :before FOR UPDATE SKIP LOCKED

-- name: drop_signals
WITH r AS (@rows(num bigint))
DELETE FROM inbox WHERE num IN (
    SELECT i.num FROM r CROSS JOIN flows f CROSS JOIN inbox i
    WHERE f.num = r.num AND i.kind = 'signal' AND i.flow IS NULL AND i.correlation = CAST(f.id AS text)
)

-- name: note_remains
WITH r AS (@rows(num bigint)) INSERT INTO flow_remains (flow) SELECT num FROM r WHERE TRUE ON CONFLICT DO NOTHING

-- name: drop_flows
WITH r AS (@rows(num bigint)) DELETE FROM flows WHERE num IN (SELECT num FROM r)

-- name: remains
SELECT flow FROM flow_remains ORDER BY flow LIMIT :limit

-- name: remains [postgres]
SELECT flow FROM flow_remains ORDER BY flow LIMIT :limit FOR UPDATE SKIP LOCKED

-- name: clear_steps
WITH r AS (@rows(flow bigint))
DELETE FROM steps WHERE num IN (
    SELECT s.num FROM steps s WHERE s.flow IN (SELECT flow FROM r) AND s.blob IS NULL LIMIT :limit)

-- name: large_steps
WITH r AS (@rows(flow bigint))
SELECT num, flow, blob FROM steps WHERE flow IN (SELECT flow FROM r) AND blob IS NOT NULL LIMIT :limit

-- name: drop_steps
WITH r AS (@rows(num bigint)) DELETE FROM steps WHERE num IN (SELECT num FROM r)

-- name: clear_events
WITH r AS (@rows(flow bigint))
DELETE FROM flow_events WHERE num IN (
    SELECT e.num FROM flow_events e WHERE e.flow IN (SELECT flow FROM r) LIMIT :limit)

-- name: clear_inbox
WITH r AS (@rows(flow bigint))
DELETE FROM inbox WHERE num IN (SELECT i.num FROM inbox i WHERE i.flow IN (SELECT flow FROM r) LIMIT :limit)

-- name: clear_tags
WITH r AS (@rows(flow bigint)) DELETE FROM flow_tags WHERE flow IN (SELECT flow FROM r)

-- name: clear_waits
WITH r AS (@rows(flow bigint)) DELETE FROM waits WHERE flow IN (SELECT flow FROM r)

-- name: clear_progress
WITH r AS (@rows(flow bigint)) DELETE FROM step_progress WHERE flow IN (SELECT flow FROM r)

-- name: cleared
WITH r AS (@rows(flow bigint)) DELETE FROM flow_remains WHERE flow IN (SELECT flow FROM r)

-- name: superseded
SELECT s.updated_at, s.num, f.workflow_type FROM steps s JOIN flows f ON f.num = s.flow
WHERE s.superseded_by IS NOT NULL AND (s.updated_at, s.num) > (:at, :num) AND s.updated_at < :before
ORDER BY s.updated_at, s.num LIMIT :limit

-- name: lock_superseded
WITH r AS (@rows(num bigint))
SELECT num, flow, blob FROM steps WHERE num IN (SELECT num FROM r) AND superseded_by IS NOT NULL

-- name: lock_superseded [postgres]
WITH r AS (@rows(num bigint))
SELECT num, flow, blob FROM steps WHERE num IN (SELECT num FROM r) AND superseded_by IS NOT NULL
FOR UPDATE SKIP LOCKED

-- name: names_blob
SELECT 1 FROM steps WHERE flow = :flow AND blob = :blob LIMIT 1

-- name: workflow_types
WITH RECURSIVE known (name) AS (
    SELECT min(workflow_type) FROM flows
    UNION ALL
    SELECT (SELECT min(workflow_type) FROM flows WHERE workflow_type > known.name) FROM known
    WHERE known.name IS NOT NULL)
SELECT name FROM known WHERE name IS NOT NULL

-- name: search_kinds
WITH r AS (@rows(workflow_type text, status text, at bigint, num bigint))
SELECT r.workflow_type, r.status, found.created_at, found.num, found.tags
FROM r JOIN flows found ON found.num IN (
    SELECT f.num FROM flows f
    WHERE f.workflow_type = r.workflow_type AND f.status = r.status AND (f.created_at, f.num) < (r.at, r.num)
        AND {sought}
    ORDER BY f.created_at DESC, f.num DESC LIMIT :limit)

-- name: search_kinds [postgres]
WITH r AS (@rows(workflow_type text, status text, at bigint, num bigint))
SELECT r.workflow_type, r.status, found.created_at, found.num, found.tags
FROM r CROSS JOIN LATERAL (
    SELECT f.created_at, f.num, f.tags FROM flows f
    WHERE f.workflow_type = r.workflow_type AND f.status = r.status AND (f.created_at, f.num) < (r.at, r.num)
        AND {sought}
    ORDER BY f.created_at DESC, f.num DESC LIMIT :limit) AS found

-- name: search_tag
SELECT t.created_at, t.flow, f.tags FROM flow_tags t CROSS JOIN flows f
WHERE t.name = :name AND t.value = :value AND (t.created_at, t.flow) < (:at, :num) AND t.created_at >= :since
    AND f.num = t.flow AND {sought}
ORDER BY t.created_at DESC, t.flow DESC LIMIT :limit

-- name: search_owner
SELECT f.created_at, f.num, f.tags FROM flows f
WHERE f.owner_session_key = :owner AND (f.created_at, f.num) < (:at, :num) AND {sought}
ORDER BY f.created_at DESC, f.num DESC LIMIT :limit

-- name: search_paused
SELECT f.created_at, f.num, f.tags FROM flows f
WHERE f.paused AND (f.created_at, f.num) < (:at, :num) AND {sought}
ORDER BY f.created_at DESC, f.num DESC LIMIT :limit

-- name: search_children
SELECT f.created_at, f.num, f.tags FROM flows f
WHERE f.parent = :parent AND (f.created_at, f.num) < (:at, :num) AND {sought}
ORDER BY f.created_at DESC, f.num DESC LIMIT :limit

-- name: ids_between
SELECT id FROM flows WHERE id BETWEEN :low AND :high ORDER BY id LIMIT :limit

-- name: found
WITH r AS (@rows(num bigint)) SELECT {flow}, f.num FROM flows f WHERE f.num IN (SELECT num FROM r)

-- name: retention
SELECT workflow_type, retain_micros FROM retention WHERE retain_micros IS NOT NULL ORDER BY workflow_type

-- name: declare_retention
WITH r AS (@rows(workflow_type text, retain_micros bigint))
INSERT INTO retention (workflow_type, retain_micros, updated_at) SELECT workflow_type, retain_micros, :now FROM r
WHERE TRUE
ON CONFLICT (workflow_type) DO UPDATE SET retain_micros = excluded.retain_micros, updated_at = excluded.updated_at
WHERE retention.retain_micros IS DISTINCT FROM excluded.retain_micros

-- part: holder_alive
EXISTS (SELECT 1 FROM workers w WHERE w.epoch = chores.epoch AND w.fenced_at IS NULL)

-- name: note_chore
INSERT INTO chores (name, due_at) VALUES (:name, :due_at) ON CONFLICT DO NOTHING

-- name: claim_chore
UPDATE chores SET epoch = :epoch, due_at = :next_at
WHERE name = :name AND CASE WHEN epoch IS NULL THEN due_at <= :now ELSE NOT {holder_alive} END
    AND EXISTS (SELECT 1 FROM workers WHERE epoch = :epoch AND fenced_at IS NULL)

-- name: finish_chore
UPDATE chores SET epoch = NULL, ran_at = :now, outcome = :outcome WHERE name = :name AND epoch = :epoch

-- name: holds_chore
SELECT 1 FROM chores WHERE name = :name AND epoch = :epoch AND {holder_alive}

-- name: next_chore
SELECT CASE WHEN epoch IS NULL THEN due_at WHEN {holder_alive} THEN NULL ELSE :now END FROM chores WHERE name = :name

-- name: chores
SELECT name, due_at, epoch, ran_at, outcome FROM chores ORDER BY name

-- name: standing_orders
SELECT (SELECT count(*) FROM queues), (SELECT count(*) FROM schedules)
