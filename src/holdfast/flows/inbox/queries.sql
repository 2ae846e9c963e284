-- part: address
kind text, topic text, correlation text

-- part: open
FROM waits w WHERE w.kind = k.kind AND w.topic = k.topic AND w.correlation = k.correlation AND w.answered_at IS NULL

-- part: free
FROM inbox i WHERE i.kind = k.kind AND i.topic = k.topic AND i.correlation = k.correlation AND i.flow IS NULL
    AND i.expires_at > :now

-- part: answer
num, flow, run_id, answered_at, answer, failed

-- part: touched
UPDATE flows SET touched = TRUE,
    due_at = CASE WHEN epoch IS NULL AND status = 'waiting' AND NOT paused THEN :now ELSE due_at END

-- part: approval
w.num, f.id, f.workflow_type, w.run_id, w.topic, w.detail, w.expires_at, w.answer

-- part: kept
i.num, i.kind, i.topic, i.correlation, i.key, i.payload, i.sent_at, i.expires_at

-- name: answered_waits_of
WITH r AS (@rows(flow_num bigint))
SELECT {answer} FROM r JOIN waits w ON w.flow = r.flow_num AND w.answered_at IS NOT NULL ORDER BY w.num

-- name: insert_waits
WITH r AS (@rows(flow bigint, run_id text, kind text, topic text, correlation text, detail text, expires_at bigint))
INSERT INTO waits (flow, run_id, kind, topic, correlation, detail, expires_at, created_at)
SELECT flow, run_id, kind, topic, correlation, detail, expires_at, :now FROM r WHERE TRUE
ON CONFLICT DO NOTHING
RETURNING {answer}

-- name: named_waits
WITH r AS (@rows(flow_num bigint, name text))
SELECT {answer} FROM r JOIN waits w ON w.flow = r.flow_num AND w.run_id = r.name

-- name: waits_of
WITH r AS (@rows(flow_num bigint))
SELECT {answer} FROM r JOIN waits w ON w.flow = r.flow_num ORDER BY w.num

-- name: addresses
WITH r AS (@rows(wait bigint))
SELECT DISTINCT w.kind, w.topic, w.correlation FROM r JOIN waits w ON w.num = r.wait
WHERE w.kind IN ('event', 'signal')

-- name: delete_waits
WITH r AS (@rows(wait bigint)) DELETE FROM waits WHERE num IN (SELECT wait FROM r) RETURNING event

-- name: pairs
WITH RECURSIVE k AS (@rows({address})),
pairs(kind, topic, correlation, wait, event) AS (
    SELECT k.kind, k.topic, k.correlation,
        (SELECT w.num {open} ORDER BY w.num LIMIT 1),
        (SELECT i.num {free} ORDER BY i.num LIMIT 1)
    FROM k
    UNION ALL
    SELECT k.kind, k.topic, k.correlation,
        (SELECT w.num {open} AND w.num > k.wait ORDER BY w.num LIMIT 1),
        (SELECT i.num {free} AND i.num > k.event ORDER BY i.num LIMIT 1)
    FROM pairs k WHERE k.wait IS NOT NULL AND k.event IS NOT NULL
)
SELECT wait, event FROM pairs WHERE wait IS NOT NULL AND event IS NOT NULL

-- name: take
WITH r AS (@rows(wait bigint, event bigint))
UPDATE inbox SET flow = w.flow, run_id = w.run_id
FROM r JOIN waits w ON w.num = r.wait WHERE inbox.num = r.event AND inbox.flow IS NULL

-- name: answer_by_event
WITH r AS (@rows(wait bigint, taken bigint))
UPDATE waits SET answered_at = :now, answer = i.payload, event = r.taken
FROM r JOIN inbox i ON i.num = r.taken
WHERE waits.num = r.wait AND waits.flow = i.flow AND waits.run_id = i.run_id
RETURNING waits.num, waits.flow, waits.run_id, waits.answered_at, waits.answer, waits.failed

-- name: answer
WITH r AS (@rows(wait bigint, told text, fault boolean))
UPDATE waits SET answered_at = :now, answer = r.told, failed = r.fault
FROM r WHERE waits.num = r.wait AND waits.answered_at IS NULL
RETURNING {answer}

-- name: answer_children
WITH r AS (@rows(child text, told text, fault boolean))
UPDATE waits SET answered_at = :now, answer = r.told, failed = r.fault
FROM r WHERE waits.kind = 'child' AND waits.topic = '' AND waits.correlation = r.child AND waits.answered_at IS NULL
RETURNING {answer}

-- name: children
WITH r AS (@rows(child text))
SELECT f.id, f.status, f.result, f.error, f.tied FROM r JOIN flows f ON f.id = r.child

-- name: tie
WITH r AS (@rows(child text))
UPDATE flows SET tied = TRUE WHERE id IN (SELECT child FROM r)

-- name: tie [postgres]
WITH r AS (@rows(child uuid))
UPDATE flows SET tied = TRUE WHERE id IN (SELECT child FROM r)

-- name: children [postgres]
WITH r AS (@rows(child uuid))
SELECT f.id, f.status, f.result, f.error, f.tied FROM flows f WHERE f.id IN (SELECT child FROM r) ORDER BY f.num FOR SHARE

-- name: touch
WITH r AS (@rows(flow_num bigint))
{touched} WHERE num IN (SELECT flow_num FROM r) AND status NOT IN ('finished', 'failed', 'cancelled')

-- name: touch [postgres]
WITH r AS (@rows(flow_num bigint)),
held AS MATERIALIZED (
    SELECT num FROM flows WHERE num IN (SELECT flow_num FROM r) ORDER BY num FOR NO KEY UPDATE
)
{touched} WHERE num IN (SELECT num FROM held) AND status NOT IN ('finished', 'failed', 'cancelled')

-- name: first_wait
SELECT num, flow, run_id FROM waits
WHERE kind = :kind AND topic = :topic AND correlation = :correlation AND answered_at IS NULL ORDER BY num LIMIT 1

-- name: insert_message
INSERT INTO inbox (kind, topic, correlation, key, payload, sent_at, expires_at, flow, run_id)
VALUES (:kind, :topic, :correlation, :key, :payload, :now, :expires_at, :flow, :run_id)
ON CONFLICT DO NOTHING
RETURNING num

-- name: message
SELECT num, flow, expires_at FROM inbox
WHERE kind = :kind AND topic = :topic AND correlation = :correlation AND key = :key

-- name: drop_message
DELETE FROM inbox WHERE num = :num

-- name: free_messages
WITH r AS (@rows(event bigint))
UPDATE inbox SET flow = NULL, run_id = NULL WHERE num IN (SELECT event FROM r)
RETURNING kind, topic, correlation

-- name: taken
WITH r AS (@rows(flow_num bigint, name text))
SELECT i.num, i.kind, i.topic, i.correlation FROM r JOIN inbox i ON i.flow = r.flow_num AND i.run_id = r.name

-- name: prolong
WITH r AS (@rows(event bigint))
UPDATE inbox SET expires_at = :least WHERE num IN (SELECT event FROM r) AND expires_at < :least

-- name: collect
DELETE FROM inbox WHERE num IN (
    SELECT num FROM inbox WHERE flow IS NULL AND expires_at <= :now ORDER BY expires_at LIMIT :limit
)

-- name: collect [postgres]
DELETE FROM inbox WHERE num IN (
    SELECT num FROM inbox WHERE flow IS NULL AND expires_at <= :now ORDER BY expires_at LIMIT :limit
    FOR UPDATE SKIP LOCKED
)

-- name: flow_status
SELECT status FROM flows WHERE id = :id

-- name: flow_status [postgres]
SELECT status FROM flows WHERE id = :id FOR NO KEY UPDATE

-- name: flow_num
SELECT num FROM flows WHERE id = :id

-- name: approval
SELECT {approval} FROM waits w JOIN flows f ON f.num = w.flow WHERE w.num = :num AND w.kind = 'approval'

-- name: lock_approval
SELECT {approval} FROM waits w JOIN flows f ON f.num = w.flow WHERE w.num = :num AND w.kind = 'approval'

-- name: lock_approval [postgres]
SELECT {approval} FROM waits w JOIN flows f ON f.num = w.flow WHERE w.num = :num AND w.kind = 'approval'
FOR UPDATE OF w

-- name: approvals
SELECT {approval} FROM waits w JOIN flows f ON f.num = w.flow
WHERE w.kind = 'approval' AND w.answered_at IS NULL AND w.num > :num
    AND (w.expires_at IS NULL OR w.expires_at > :now)
ORDER BY w.num LIMIT :limit

-- name: approvals_of_flow
SELECT {approval} FROM waits w JOIN flows f ON f.num = w.flow
WHERE w.flow = :flow AND w.kind = 'approval' AND w.answered_at IS NULL AND w.num > :num
    AND (w.expires_at IS NULL OR w.expires_at > :now)
ORDER BY w.num LIMIT :limit

-- name: pending_events
SELECT {kept} FROM inbox i
WHERE i.kind = 'event' AND i.flow IS NULL AND i.num > :num AND i.expires_at > :now ORDER BY i.num LIMIT :limit

-- name: pending_events_of_topic
SELECT {kept} FROM inbox i
WHERE i.kind = 'event' AND i.topic = :topic AND i.flow IS NULL AND i.num > :num AND i.expires_at > :now
ORDER BY i.num LIMIT :limit

-- name: pending_signals
SELECT {kept} FROM inbox i
WHERE i.kind = 'signal' AND i.correlation = :flow_id AND i.flow IS NULL AND i.num > :num
ORDER BY i.num LIMIT :limit

-- name: found_message
SELECT {kept}, i.flow, f.id FROM inbox i LEFT JOIN flows f ON f.num = i.flow WHERE i.num = :num

-- name: open_waits
SELECT w.num, w.run_id, w.kind, w.topic, w.correlation, w.detail, w.created_at, w.expires_at FROM waits w
WHERE w.flow = :flow AND w.run_id > :run_id AND w.answered_at IS NULL ORDER BY w.run_id LIMIT :limit
