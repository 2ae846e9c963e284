-- part: kept
flow = :flow AND superseded_by IS NULL AND runtime = 'managed'

-- name: flow_num
SELECT num FROM flows WHERE id = :id

-- name: lock_flow
SELECT num, queue, dedupe FROM flows WHERE id = :id

-- name: lock_flow [postgres]
SELECT num, queue, dedupe FROM flows WHERE id = :id FOR UPDATE

-- name: dedupe_holder
SELECT id FROM flows
WHERE queue = :queue AND dedupe = :dedupe AND dedupe IS NOT NULL AND status NOT IN ('finished', 'failed', 'cancelled')

-- name: key_holder
SELECT id FROM flows WHERE workflow_type = :workflow_type AND key = :key

-- name: kept
SELECT num, run_id FROM steps WHERE {kept} ORDER BY num

-- name: last_failed
SELECT num, error FROM steps WHERE {kept} AND status = 'failed' ORDER BY num DESC LIMIT 1

-- name: last_timer
SELECT max(num) FROM steps WHERE {kept} AND run_id >= 'sleep#' AND run_id < 'sleep$'

-- name: first_cancel
SELECT min(num) FROM steps WHERE {kept} AND run_id >= 'cancel#' AND run_id < 'cancel$'

-- name: supersede
UPDATE steps SET superseded_by = :attempt WHERE {kept} AND num > :cut

-- name: triggers_after
SELECT run_id FROM steps
WHERE {kept} AND num > :cut
    AND (run_id >= 'event:' AND run_id < 'event;' OR run_id >= 'signal:' AND run_id < 'signal;')

-- name: superseded_children
SELECT result FROM steps
WHERE flow = :flow AND superseded_by = :attempt AND run_id >= 'start:' AND run_id < 'start;' AND status = 'succeeded'

-- name: kept_failures
SELECT error FROM steps
WHERE {kept} AND run_id >= 'child:' AND run_id < 'child;' AND status = 'failed'

-- name: kept_children
SELECT result FROM steps
WHERE {kept} AND run_id >= 'start:' AND run_id < 'start;' AND status = 'succeeded'

-- name: ended_children
SELECT id, status, error FROM flows
WHERE parent = :flow AND (status = 'cancelled' AND parent_close = 'cancel' OR status = 'failed' AND :failed)
ORDER BY num

-- name: forget_progress
DELETE FROM step_progress WHERE flow = :flow

-- name: running_steps
SELECT run_id FROM step_progress WHERE flow = (SELECT num FROM flows WHERE id = :id) ORDER BY at DESC LIMIT :limit

-- name: add_patch
INSERT INTO steps (flow, run_id, runtime, task, status, attempt, digest, result, created_at, updated_at)
VALUES (:flow, :run_id, 'managed', 'patch', 'succeeded', 1, 0, :result, :now, :now)

-- name: set_back
UPDATE flows SET status = 'running', attempt = :attempt, paused = FALSE, cancel_requested = :cancelled, touched = FALSE,
    state = :state, result = NULL, error = NULL, finished_at = NULL, crashes = 0, due_at = :now, turn = NULL,
    updated_at = :now, revision = revision + 1
WHERE num = :flow

-- name: fork_flow
INSERT INTO flows (id, key, workflow_type, package_hash, owner_session_key, goal, current_step, state, status, attempt,
    revision, created_at, updated_at, seed, args, args_digest, started_at, due_at, cancel_requested, queue, queue_key,
    priority, tags, tied)
SELECT :id, :key, workflow_type, package_hash, owner_session_key, goal, current_step, :state, 'running', attempt + 1,
    1, :now, :now, seed, args, args_digest, started_at, :now, :cancelled, queue, queue_key, priority, tags, tied
FROM flows WHERE num = :flow
ON CONFLICT DO NOTHING
RETURNING num

-- name: copy_tags
INSERT INTO flow_tags (name, value, created_at, flow)
SELECT name, value, :now, :fork FROM flow_tags WHERE flow = :flow

-- name: copy_records
INSERT INTO steps (flow, run_id, runtime, task, status, attempt, digest, result, error, blob, epoch, created_at,
    updated_at)
SELECT :fork, run_id, runtime, task, status, attempt, digest, result, error, blob, epoch, created_at, updated_at
FROM steps WHERE {kept} AND num <= :cut ORDER BY num

-- name: hold_results
INSERT INTO blob_holders (digest, holder) SELECT DISTINCT blob, :holder FROM steps WHERE flow = :flow AND blob IS NOT NULL
ON CONFLICT DO NOTHING
