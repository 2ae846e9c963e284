-- part: waits
n.turn IS NOT NULL AND n.due_at IS NOT NULL

-- part: limits
concurrency, per_worker, per_key, rate_limit, rate_micros

-- part: standing
SELECT q.name, q.concurrency, q.per_worker, q.per_key, q.rate_limit, q.rate_micros, q.paused,
    (SELECT count(*) FROM flows f WHERE f.queue = q.name AND f.turn IS NOT NULL AND f.due_at IS NOT NULL),
    (SELECT count(*) FROM flows f WHERE f.queue = q.name AND f.epoch IS NOT NULL),
    (SELECT count(*) FROM flows f
     WHERE f.due_at IS NOT NULL AND f.queue = q.name AND f.turn IS NULL)
FROM queues q

-- part: lane
n.queue = :queue AND n.turn = :turn AND n.priority = :priority AND n.due_at IS NOT NULL

-- part: leased
UPDATE flows SET status = 'running', epoch = :epoch, due_at = NULL, turn = NULL, touched = FALSE,
    started_at = coalesce(started_at, :now), updated_at = :now, revision = revision + 1
WHERE num IN (SELECT num FROM r) AND turn IS NOT NULL AND due_at IS NOT NULL

-- part: claimed
num, id, workflow_type, args, attempt, seed, started_at, cancel_requested, revision, crashes, tied, state, depth,
owner_session_key, queue

-- name: put
INSERT INTO queues (name, {limits}, updated_at)
VALUES (:name, :concurrency, :per_worker, :per_key, :rate_limit, :rate_micros, :now)
ON CONFLICT (name) DO UPDATE SET concurrency = excluded.concurrency, per_worker = excluded.per_worker,
    per_key = excluded.per_key, rate_limit = excluded.rate_limit, rate_micros = excluded.rate_micros,
    updated_at = excluded.updated_at

-- name: limits
SELECT {limits} FROM queues WHERE name = :name

-- name: set_paused
UPDATE queues SET paused = :paused, updated_at = :now WHERE name = :name AND paused <> :paused

-- name: lock_one
SELECT 1 FROM queues WHERE name = :name

-- name: lock_one [postgres]
SELECT 1 FROM queues WHERE name = :name FOR UPDATE

-- name: delete
DELETE FROM queues WHERE name = :name

-- name: delete_turns
DELETE FROM queue_turns WHERE queue = :name

-- name: in_use
SELECT 1
WHERE (SELECT min(n.served) FROM flows n WHERE n.queue = :name AND {waits}) IS NOT NULL
    OR (SELECT min(queue_key) FROM flows WHERE queue = :name AND epoch IS NOT NULL) IS NOT NULL
    OR (SELECT min(due_at) FROM flows WHERE due_at IS NOT NULL AND queue = :name AND turn IS NULL) IS NOT NULL

-- name: page
{standing} WHERE q.name > :after ORDER BY q.name LIMIT :limit

-- name: get
{standing} WHERE q.name = :name

-- name: known
WITH r AS (@rows(name text))
SELECT q.name FROM r JOIN queues q ON q.name = r.name

-- name: known [postgres]
WITH r AS (@rows(name text))
SELECT q.name FROM r JOIN queues q ON q.name = r.name FOR KEY SHARE OF q

-- name: lock
WITH r AS (@rows(name text))
SELECT q.name FROM r JOIN queues q ON q.name = r.name

-- name: lock [postgres]
WITH r AS (@rows(name text))
SELECT q.name FROM r JOIN queues q ON q.name = r.name FOR NO KEY UPDATE OF q SKIP LOCKED

-- name: waiting
SELECT (SELECT min(due_at) FROM flows WHERE queue IS NOT NULL AND turn IS NULL AND due_at IS NOT NULL),
    (SELECT min(n.queue) FROM flows n WHERE n.queue > '' AND {waits}) IS NOT NULL

-- name: promote
UPDATE flows SET turn = CASE
    WHEN crashes >= :suspect THEN 3 WHEN cancel_requested THEN 0 WHEN started_at IS NOT NULL THEN 1 ELSE 2 END
WHERE num IN (
    SELECT num FROM flows WHERE queue IS NOT NULL AND turn IS NULL AND due_at <= :now ORDER BY due_at LIMIT :limit
)

-- name: promote [postgres]
UPDATE flows SET turn = CASE
    WHEN crashes >= :suspect THEN 3 WHEN cancel_requested THEN 0 WHEN started_at IS NOT NULL THEN 1 ELSE 2 END
WHERE num IN (
    SELECT num FROM flows WHERE queue IS NOT NULL AND turn IS NULL AND due_at <= :now ORDER BY due_at LIMIT :limit
    FOR UPDATE SKIP LOCKED
)

-- name: ready
WITH RECURSIVE named (queue) AS (
    SELECT (SELECT min(n.queue) FROM flows n WHERE n.queue > '' AND {waits})
    UNION ALL
    SELECT (SELECT min(n.queue) FROM flows n WHERE n.queue > d.queue AND {waits}) FROM named d WHERE d.queue IS NOT NULL
),
lane (queue, served) AS (
    SELECT d.queue, (SELECT min(n.served) FROM flows n WHERE n.queue = d.queue AND {waits})
    FROM named d WHERE d.queue IS NOT NULL
    UNION ALL
    SELECT l.queue, (
        SELECT min(n.served) FROM flows n
        WHERE n.queue = l.queue AND n.served > l.served AND {waits}
    ) FROM lane l WHERE l.served IS NOT NULL
)
SELECT l.queue, l.served, t.turn
FROM lane l CROSS JOIN (SELECT 0 AS turn UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3) AS t
WHERE l.served IS NOT NULL AND (
    SELECT min(n.priority) FROM flows n
    WHERE n.queue = l.queue AND n.served = l.served AND n.turn = t.turn AND n.due_at IS NOT NULL
) IS NOT NULL

-- name: rooms
WITH r AS (@rows(queue text))
SELECT r.queue, q.name IS NOT NULL, coalesce(q.paused, FALSE), q.concurrency, q.per_worker, q.per_key,
    q.rate_limit, q.rate_micros,
    CASE WHEN q.concurrency IS NOT NULL THEN (
        SELECT count(*) FROM flows f WHERE f.queue = r.queue AND f.epoch IS NOT NULL) END,
    CASE WHEN q.per_worker IS NOT NULL THEN (
        SELECT count(*) FROM flows f WHERE f.queue = r.queue AND f.epoch IS NOT NULL AND f.epoch = :epoch) END,
    CASE WHEN q.rate_micros IS NULL THEN 0 ELSE (
        SELECT count(*) FROM flows f WHERE f.queue = r.queue AND f.started_at > :now - q.rate_micros) END,
    CASE WHEN q.rate_micros IS NOT NULL THEN (
        SELECT min(f.started_at) FROM flows f WHERE f.queue = r.queue AND f.started_at > :now - q.rate_micros) END
FROM r LEFT JOIN queues q ON q.name = r.queue

-- name: classes
WITH r AS (@rows(served text, turn int, after int))
SELECT c.served, c.turn, c.priority, t.queue_key FROM (
    SELECT r.served, r.turn, (
        SELECT min(n.priority) FROM flows n
        WHERE n.queue = :queue AND n.served = r.served AND n.turn = r.turn AND n.due_at IS NOT NULL
            AND n.priority > r.after
    ) AS priority FROM r
) AS c LEFT JOIN queue_turns t ON t.queue = :queue AND t.priority = c.priority AND t.turn = c.turn
WHERE c.priority IS NOT NULL

-- name: keys
WITH RECURSIVE r AS (@rows(served text)),
lane (served, queue_key) AS (
    SELECT r.served, (
        SELECT min(n.queue_key) FROM flows n
        WHERE {lane} AND n.served = r.served AND n.queue_key >= :first
    ) FROM r
    UNION ALL
    SELECT l.served, (
        SELECT min(n.queue_key) FROM flows n
        WHERE {lane} AND n.served = l.served AND n.queue_key > l.queue_key
    ) FROM lane l WHERE l.queue_key IS NOT NULL
)
SELECT served, queue_key, running FROM (
    SELECT l.served, l.queue_key, CASE WHEN :per_key < :unlimited THEN (
        SELECT count(*) FROM flows f WHERE f.queue = :queue AND f.queue_key = l.queue_key AND f.epoch IS NOT NULL
    ) ELSE 0 END AS running
    FROM lane l WHERE l.queue_key IS NOT NULL
) AS keyed WHERE running < :per_key LIMIT :limit

-- name: heads
WITH r AS (@rows(served text, queue_key text, after bigint))
SELECT r.queue_key, f.num FROM r JOIN flows f ON f.num IN (
    SELECT n.num FROM flows n
    WHERE {lane} AND n.served = r.served AND n.queue_key = r.queue_key AND n.num > r.after
    ORDER BY n.num LIMIT :limit
)

-- name: heads [postgres]
WITH r AS (@rows(served text, queue_key text, after bigint))
SELECT r.queue_key, f.num FROM r CROSS JOIN LATERAL (
    SELECT n.num FROM flows n
    WHERE {lane} AND n.served = r.served AND n.queue_key = r.queue_key AND n.num > r.after
    ORDER BY n.num LIMIT :limit
) AS f

-- name: lease
WITH r AS (@rows(num bigint))
{leased} AND EXISTS (SELECT 1 FROM workers WHERE epoch = :epoch AND fenced_at IS NULL)
RETURNING {claimed}

-- name: lease [postgres]
WITH r AS (@rows(num bigint)),
fence AS MATERIALIZED (SELECT 1 FROM workers WHERE epoch = :epoch AND fenced_at IS NULL FOR SHARE)
{leased} AND EXISTS (SELECT 1 FROM fence)
RETURNING {claimed}

-- name: put_turns
WITH r AS (@rows(priority int, turn int, queue_key text))
INSERT INTO queue_turns (queue, priority, turn, queue_key) SELECT :queue, priority, turn, queue_key FROM r WHERE TRUE
ON CONFLICT (queue, priority, turn) DO UPDATE SET queue_key = excluded.queue_key
