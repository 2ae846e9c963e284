-- SQLite holds anything in any column, and a driver chokes on text that is no UTF-8: what is of the wrong type becomes
-- NULL, texts travel as bytes.

-- part: row
seq, at, actor, act, subject, detail, prev_hash, hash, key_id, signature

-- part: point
seq, hash, at, key_id, signature

-- part: sqlite_row
seq,
CASE typeof(at) WHEN 'integer' THEN at END,
CASE typeof(actor) WHEN 'text' THEN CAST(actor AS blob) END,
CASE typeof(act) WHEN 'text' THEN CAST(act AS blob) END,
CASE typeof(subject) WHEN 'text' THEN CAST(subject AS blob) END,
CASE typeof(detail) WHEN 'text' THEN CAST(detail AS blob) END,
CASE typeof(prev_hash) WHEN 'text' THEN CAST(prev_hash AS blob) END,
CASE typeof(hash) WHEN 'text' THEN CAST(hash AS blob) END,
CASE typeof(key_id) WHEN 'null' THEN NULL WHEN 'text' THEN CAST(key_id AS blob) ELSE x'' END,
CASE typeof(signature) WHEN 'null' THEN NULL WHEN 'text' THEN CAST(signature AS blob) ELSE x'' END

-- part: sqlite_point
CASE typeof(seq) WHEN 'integer' THEN seq END,
CASE typeof(hash) WHEN 'text' THEN CAST(hash AS blob) END,
CASE typeof(at) WHEN 'integer' THEN at END,
CASE typeof(key_id) WHEN 'null' THEN NULL WHEN 'text' THEN CAST(key_id AS blob) ELSE x'' END,
CASE typeof(signature) WHEN 'null' THEN NULL WHEN 'text' THEN CAST(signature AS blob) ELSE x'' END

-- name: lock_head
UPDATE audit_head SET seq = seq + 1 RETURNING seq, hash

-- name: lock_head [sqlite]
UPDATE audit_head SET seq = seq + 1
RETURNING CASE typeof(seq) WHEN 'integer' THEN seq END, CASE typeof(hash) WHEN 'text' THEN CAST(hash AS blob) END

-- name: move_head
UPDATE audit_head SET hash = :hash

-- name: get_head
SELECT seq, hash FROM audit_head

-- name: get_head [sqlite]
SELECT CASE typeof(seq) WHEN 'integer' THEN seq END, CASE typeof(hash) WHEN 'text' THEN CAST(hash AS blob) END
FROM audit_head

-- name: insert_row
INSERT INTO audit_rows (seq, at, actor, act, subject, detail, prev_hash, hash, key_id, signature)
VALUES (:seq, :at, :actor, :act, :subject, :detail, :prev_hash, :hash, :key_id, :signature)
ON CONFLICT DO NOTHING

-- name: last_row
SELECT {row} FROM audit_rows WHERE subject = :subject AND act = :act ORDER BY seq DESC LIMIT 1

-- name: last_row [sqlite]
SELECT {sqlite_row} FROM audit_rows WHERE subject = :subject AND act = :act ORDER BY seq DESC LIMIT 1

-- name: list_rows
SELECT {row} FROM audit_rows WHERE seq < :seq ORDER BY seq DESC LIMIT :limit

-- name: list_rows [sqlite]
SELECT {sqlite_row} FROM audit_rows WHERE seq < :seq ORDER BY seq DESC LIMIT :limit

-- name: list_subject
SELECT {row} FROM audit_rows WHERE subject = :subject AND seq < :seq ORDER BY seq DESC LIMIT :limit

-- name: list_subject [sqlite]
SELECT {sqlite_row} FROM audit_rows WHERE subject = :subject AND seq < :seq ORDER BY seq DESC LIMIT :limit

-- name: chain_page
SELECT {row} FROM audit_rows WHERE seq >= :seq ORDER BY seq LIMIT :limit

-- name: chain_page [sqlite]
SELECT {sqlite_row} FROM audit_rows WHERE seq >= :seq ORDER BY seq LIMIT :limit

-- name: insert_checkpoint
INSERT INTO audit_checkpoints (seq, at, hash, key_id, signature) VALUES (:seq, :at, :hash, :key_id, :signature)
ON CONFLICT DO NOTHING

-- name: list_checkpoints
SELECT {point} FROM audit_checkpoints WHERE (seq, at) < (:seq, :at) ORDER BY seq DESC, at DESC LIMIT :limit

-- name: list_checkpoints [sqlite]
SELECT {sqlite_point} FROM audit_checkpoints WHERE (seq, at) < (:seq, :at) ORDER BY seq DESC, at DESC LIMIT :limit

-- name: all_checkpoints
SELECT {point} FROM audit_checkpoints

-- name: all_checkpoints [sqlite]
SELECT {sqlite_point} FROM audit_checkpoints
