-- name: answered
SELECT at, act, detail FROM audit_rows
WHERE seq > (SELECT max(seq) FROM audit_rows) - :looked_at AND act IN ('flow.approved', 'flow.rejected')
    AND detail LIKE :pattern
ORDER BY seq DESC LIMIT 1

-- name: over
SELECT 1 FROM sqlite_sequence WHERE name = 'waits' AND seq >= :num AND NOT EXISTS (SELECT 1 FROM waits WHERE num = :num)

-- name: over [postgres]
SELECT 1 WHERE pg_sequence_last_value(CAST(pg_get_serial_sequence('waits', 'num') AS regclass)) >= :num
    AND NOT EXISTS (SELECT 1 FROM waits WHERE num = :num)
