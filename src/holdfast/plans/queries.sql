-- part: plan
id, status, base_revision, digest, result, error, created_at, applied_at, applied_revision, inverse, reverted_at, num

-- name: insert_plan
INSERT INTO plan_runs (id, status, base_revision, digest, result, error, created_at)
VALUES (:id, :status, :base_revision, :digest, :result, :error, :created_at)
ON CONFLICT DO NOTHING

-- name: get_plan
SELECT {plan} FROM plan_runs WHERE id = :id

-- name: lock_plan
SELECT {plan} FROM plan_runs WHERE id = :id

-- name: lock_plan [postgres]
SELECT {plan} FROM plan_runs WHERE id = :id FOR UPDATE

-- name: list_plans
SELECT {plan} FROM plan_runs WHERE (created_at, num) < (:at, :num)
ORDER BY created_at DESC, num DESC LIMIT :limit

-- name: list_by_status
SELECT {plan} FROM plan_runs WHERE status = :status AND (created_at, num) < (:at, :num)
ORDER BY created_at DESC, num DESC LIMIT :limit

-- name: mark_applied
UPDATE plan_runs
SET status = 'applied', applied_at = :at, applied_revision = :revision, inverse = :inverse
WHERE id = :id AND status = 'projected'

-- name: mark_reverted
UPDATE plan_runs SET status = 'reverted', reverted_at = :at WHERE id = :id AND status = 'applied'
