-- Flows: what holds them together and who has to look at them.
-- touched: something has happened that the worker that holds the flow must look at.
-- tied: others depend on its end: a parent, or children.
ALTER TABLE flows ADD COLUMN touched integer NOT NULL DEFAULT 0;
ALTER TABLE flows ADD COLUMN tied integer NOT NULL DEFAULT 0;
ALTER TABLE flows ADD COLUMN parent integer;
ALTER TABLE flows ADD COLUMN parent_close text;
ALTER TABLE flows ADD COLUMN depth integer NOT NULL DEFAULT 0;
ALTER TABLE flows ADD COLUMN queue text;
ALTER TABLE flows ADD COLUMN queue_key text NOT NULL DEFAULT '';
ALTER TABLE flows ADD COLUMN priority integer NOT NULL DEFAULT 0;
ALTER TABLE flows ADD COLUMN turn integer;
ALTER TABLE flows ADD COLUMN dedupe text;
ALTER TABLE flows ADD COLUMN tags text;
DROP INDEX flows_cancelling;
DROP INDEX flows_due;
CREATE INDEX flows_due ON flows (workflow_type, due_at) WHERE due_at IS NOT NULL AND queue IS NULL;
CREATE INDEX flows_touched ON flows (epoch) WHERE touched AND epoch IS NOT NULL;
CREATE INDEX flows_children ON flows (parent, created_at, num) WHERE parent IS NOT NULL;
CREATE INDEX flows_search ON flows (workflow_type, status, created_at, num);
CREATE INDEX flows_paused ON flows (created_at, num) WHERE paused;
CREATE UNIQUE INDEX flows_dedupe ON flows (queue, dedupe)
    WHERE dedupe IS NOT NULL AND status NOT IN ('finished', 'failed', 'cancelled');

-- Tags of flows, for the search.
CREATE TABLE flow_tags (
    name text NOT NULL,
    value text NOT NULL,
    created_at integer NOT NULL,
    flow integer NOT NULL,
    PRIMARY KEY (name, value, created_at, flow)
) WITHOUT ROWID;
CREATE INDEX flow_tags_flow ON flow_tags (flow);

-- Steps: superseded_by is the attempt in which a rewind has undone the record; blob the digest of a large result.
ALTER TABLE steps ADD COLUMN superseded_by integer;
ALTER TABLE steps ADD COLUMN blob text;
CREATE INDEX steps_superseded ON steps (updated_at, num) WHERE superseded_by IS NOT NULL;
CREATE INDEX steps_blob ON steps (flow, blob) WHERE blob IS NOT NULL;

-- Progress that running steps have reported; gone with the flow's next record of that call.
CREATE TABLE step_progress (
    flow integer NOT NULL,
    run_id text NOT NULL,
    done real NOT NULL,
    total real,
    note text,
    at integer NOT NULL,
    PRIMARY KEY (flow, run_id)
) WITHOUT ROWID;

-- Waits: what a flow waits for besides time. Each has an id of its own; answered once, then recorded and deleted.
CREATE TABLE waits (
    num integer PRIMARY KEY AUTOINCREMENT,
    flow integer NOT NULL,
    run_id text NOT NULL,
    kind text NOT NULL,
    topic text NOT NULL,
    correlation text NOT NULL,
    detail text,
    expires_at integer,
    created_at integer NOT NULL,
    answered_at integer,
    answer text,
    failed integer NOT NULL DEFAULT 0,
    event integer
);
CREATE UNIQUE INDEX waits_run ON waits (flow, run_id);
CREATE INDEX waits_open ON waits (kind, topic, correlation, num) WHERE answered_at IS NULL;
CREATE INDEX waits_answered ON waits (flow) WHERE answered_at IS NOT NULL;
CREATE INDEX waits_approvals ON waits (kind, num) WHERE kind = 'approval' AND answered_at IS NULL;
CREATE INDEX waits_flow_approvals ON waits (flow, num) WHERE kind = 'approval' AND answered_at IS NULL;

-- The inbox: events that were sent, kept until a wait takes them or they expire. A taken one stays with its flow, so
-- that a rewind can give it back.
CREATE TABLE inbox (
    num integer PRIMARY KEY AUTOINCREMENT,
    kind text NOT NULL,
    topic text NOT NULL,
    correlation text NOT NULL,
    key text NOT NULL,
    payload text NOT NULL,
    sent_at integer NOT NULL,
    expires_at integer NOT NULL,
    flow integer,
    run_id text
);
CREATE UNIQUE INDEX inbox_key ON inbox (kind, topic, correlation, key);
CREATE INDEX inbox_free ON inbox (kind, topic, correlation, num) WHERE flow IS NULL;
CREATE INDEX inbox_taken ON inbox (flow, run_id) WHERE flow IS NOT NULL;
CREATE INDEX inbox_expiry ON inbox (expires_at) WHERE flow IS NULL;
CREATE INDEX inbox_signals ON inbox (correlation, num) WHERE kind = 'signal' AND flow IS NULL;
CREATE INDEX inbox_events ON inbox (kind, num) WHERE kind = 'event' AND flow IS NULL;
CREATE INDEX inbox_topics ON inbox (topic, num) WHERE kind = 'event' AND flow IS NULL;

-- Queues: the limits that all workers agree on.
CREATE TABLE queues (
    name text PRIMARY KEY,
    concurrency integer,
    per_worker integer,
    per_key integer,
    rate_limit integer,
    rate_micros integer,
    paused integer NOT NULL DEFAULT 0,
    updated_at integer NOT NULL
) WITHOUT ROWID;
-- turn: which turn a flow takes among those of its priority, once it was seen to be due; num breaks ties.
CREATE INDEX flows_queue_ready ON flows (queue, workflow_type, turn, priority, queue_key, num)
    WHERE turn IS NOT NULL AND due_at IS NOT NULL;
CREATE INDEX flows_queue_later ON flows (due_at, queue)
    WHERE queue IS NOT NULL AND turn IS NULL AND due_at IS NOT NULL;
CREATE INDEX flows_queue_running ON flows (queue, queue_key, epoch) WHERE queue IS NOT NULL AND epoch IS NOT NULL;
CREATE INDEX flows_queue_started ON flows (queue, started_at) WHERE queue IS NOT NULL AND started_at IS NOT NULL;
-- The key that was served last, where several keys of a queue take turns.
CREATE TABLE queue_turns (
    queue text NOT NULL,
    priority integer NOT NULL,
    turn integer NOT NULL,
    queue_key text NOT NULL,
    PRIMARY KEY (queue, priority, turn)
) WITHOUT ROWID;

-- Schedules: when flows start by themselves.
CREATE TABLE schedules (
    name text PRIMARY KEY,
    workflow_type text NOT NULL,
    args text NOT NULL,
    args_digest integer NOT NULL,
    cron text,
    every_micros integer,
    zone text NOT NULL,
    overlap text NOT NULL,
    catch_up text NOT NULL,
    queue text,
    tags text,
    paused integer NOT NULL DEFAULT 0,
    anchor_at integer NOT NULL,
    next_at integer,
    last_at integer,
    last_flow text,
    buffered_at integer,
    revision integer NOT NULL DEFAULT 0,
    created_at integer NOT NULL,
    updated_at integer NOT NULL
) WITHOUT ROWID;
CREATE INDEX schedules_due ON schedules (workflow_type, next_at) WHERE next_at IS NOT NULL AND NOT paused;
CREATE INDEX schedules_buffered ON schedules (workflow_type) WHERE buffered_at IS NOT NULL AND NOT paused;

-- What is left of flows that were pruned: the flow goes at once, and its steps and the rest bit by bit thereafter.
CREATE TABLE flow_remains (
    flow integer PRIMARY KEY
);

-- Retention by workflow type, and the chores that one worker at a time does for all.
CREATE TABLE retention (
    workflow_type text PRIMARY KEY,
    retain_micros integer,
    updated_at integer NOT NULL
) WITHOUT ROWID;
CREATE TABLE chores (
    name text PRIMARY KEY,
    due_at integer NOT NULL,
    epoch integer,
    ran_at integer,
    outcome text
) WITHOUT ROWID;

-- Checkpoints: the runs of one world name theirs independently of each other.
DROP INDEX world_checkpoints_name;
CREATE UNIQUE INDEX world_checkpoints_name ON world_checkpoints (world, name, coalesce(run, ''))
    WHERE name IS NOT NULL AND NOT superseded;

-- Worlds that flows have opened, by the flows' ids. own: no other flow has it; then folders names those of its files, as
-- JSON. pruned: the flow is gone, and what is left of its world is to go.
CREATE TABLE flow_worlds (
    flow text NOT NULL,
    world text NOT NULL,
    own integer NOT NULL,
    folders text NOT NULL,
    pruned integer NOT NULL DEFAULT 0,
    PRIMARY KEY (flow, world)
) WITHOUT ROWID;
CREATE INDEX flow_worlds_pruned ON flow_worlds (flow, world) WHERE pruned;
DROP INDEX world_checkpoints_run;
CREATE INDEX world_checkpoints_run ON world_checkpoints (run, world, position, num) WHERE run IS NOT NULL;
