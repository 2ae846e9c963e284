-- name: lock_head
SELECT revision FROM routing_head

-- name: lock_head [postgres]
SELECT revision FROM routing_head FOR UPDATE

-- name: move_head
UPDATE routing_head SET revision = revision + 1, digest = :digest RETURNING revision

-- name: current
SELECT h.revision, h.digest, r.route FROM routing_head h LEFT JOIN gateway_routes r ON true

-- name: clear_routes
DELETE FROM gateway_routes

-- name: insert_routes
WITH r AS (@rows(id text, route text)) INSERT INTO gateway_routes (id, route) SELECT id, route FROM r
