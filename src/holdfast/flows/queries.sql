-- part: flow
f.id, f.workflow_type, f.package_hash, f.owner_session_key, f.goal, f.current_step, f.state, f.status, f.paused,
f.cancel_requested, f.attempt, f.revision, f.created_at, f.updated_at, f.key, f.args, f.result, f.error,
f.started_at, f.finished_at, f.epoch, f.due_at, f.crashes

-- part: step
s.num, s.id, f.id, s.run_id, s.runtime, s.task, s.status, s.attempt, s.result, s.error, s.epoch, s.created_at,
s.updated_at

-- name: insert_flow
INSERT INTO flows (id, key, workflow_type, package_hash, owner_session_key, goal, current_step, state, status,
    paused, cancel_requested, attempt, revision, created_at, updated_at, seed, args, args_digest, result, error,
    started_at, finished_at, due_at)
VALUES (:id, :key, :workflow_type, :package_hash, :owner_session_key, :goal, :current_step, :state, :status,
    :paused, :cancel_requested, :attempt, :revision, :created_at, :updated_at, :seed, :args, :args_digest, :result,
    :error, :started_at, :finished_at, :due_at)
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
    due_at = CASE WHEN :idle THEN NULL WHEN epoch IS NULL THEN coalesce(CAST(:wake_at AS bigint), due_at) END
WHERE id = :id AND revision = :revision

-- name: append_event
INSERT INTO flow_events (flow, id, kind, payload, at)
SELECT num, :event_id, :kind, :payload, :at FROM flows WHERE id = :id

-- name: list_events
SELECT e.id, f.id, e.kind, e.payload, e.at, e.num
FROM flow_events e JOIN flows f ON f.num = e.flow
WHERE f.id = :id AND e.num < :num ORDER BY e.num DESC LIMIT :limit

-- name: insert_step
INSERT INTO steps (flow, run_id, id, runtime, task, status, attempt, result, error, epoch, created_at, updated_at)
VALUES (:flow, :run_id, :id, :runtime, :task, :status, :attempt, :result, :error, :epoch, :created_at, :updated_at)
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

-- name: prunable
SELECT num FROM flows WHERE status IN ('finished', 'failed', 'cancelled') AND updated_at < :before LIMIT :limit

-- name: prunable [postgres]
SELECT num FROM flows WHERE status IN ('finished', 'failed', 'cancelled') AND updated_at < :before
LIMIT :limit FOR UPDATE SKIP LOCKED

-- name: prune_steps
WITH r AS (@rows(num bigint)) DELETE FROM steps WHERE flow IN (SELECT num FROM r)

-- name: prune_events
WITH r AS (@rows(num bigint)) DELETE FROM flow_events WHERE flow IN (SELECT num FROM r)

-- name: prune_flows
WITH r AS (@rows(num bigint)) DELETE FROM flows WHERE num IN (SELECT num FROM r)
