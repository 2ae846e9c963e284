-- name: ended
WITH r AS (@rows(num bigint))
SELECT f.num, f.id, f.status, f.result, f.error FROM r JOIN flows f ON f.num = r.num
ORDER BY f.num

-- name: close_children
WITH r AS (@rows(num bigint))
UPDATE flows SET
    cancel_requested = TRUE, paused = FALSE, touched = TRUE, updated_at = :now, revision = revision + 1,
    status = CASE WHEN status = 'created' AND epoch IS NULL THEN 'cancelled' ELSE status END,
    finished_at = CASE WHEN status = 'created' AND epoch IS NULL THEN CAST(:now AS bigint) END,
    turn = NULL,
    due_at = CASE WHEN status = 'created' AND epoch IS NULL THEN NULL WHEN epoch IS NULL THEN CAST(:now AS bigint) END
WHERE parent IN (SELECT num FROM r) AND parent_close = 'cancel' AND NOT cancel_requested
    AND status NOT IN ('finished', 'failed', 'cancelled')
RETURNING num, status

-- name: add_close_events
WITH r AS (@rows(flow bigint, id text, payload text))
INSERT INTO flow_events (flow, id, kind, payload, at)
SELECT flow, id, 'cancel_requested', payload, :at FROM r

-- name: add_close_events [postgres]
WITH r AS (@rows(flow bigint, id uuid, payload text))
INSERT INTO flow_events (flow, id, kind, payload, at)
SELECT flow, id, 'cancel_requested', payload, :at FROM r
