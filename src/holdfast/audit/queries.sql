-- part: row
seq, at, actor, act, subject, detail, hash, key_id, signature

-- name: lock_head
UPDATE audit_head SET seq = seq + 1 RETURNING seq, hash

-- name: move_head
UPDATE audit_head SET hash = :hash

-- name: get_head
SELECT seq, hash FROM audit_head

-- name: insert_row
INSERT INTO audit_rows (seq, at, actor, act, subject, detail, hash, key_id, signature)
VALUES (:seq, :at, :actor, :act, :subject, :detail, :hash, :key_id, :signature)

-- name: last_row
SELECT {row} FROM audit_rows WHERE subject = :subject AND act = :act ORDER BY seq DESC LIMIT 1

-- name: list_rows
SELECT {row} FROM audit_rows WHERE seq < :seq ORDER BY seq DESC LIMIT :limit

-- name: list_subject
SELECT {row} FROM audit_rows WHERE subject = :subject AND seq < :seq ORDER BY seq DESC LIMIT :limit
