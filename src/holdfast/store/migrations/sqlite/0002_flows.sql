-- Workers: one row per life of a worker. Its number is the epoch under which the worker holds its leases;
-- fencing the row ends them all at once.
CREATE TABLE workers (
    epoch integer PRIMARY KEY AUTOINCREMENT,
    host text NOT NULL,
    pid integer NOT NULL,
    workflow_types text NOT NULL,
    beat integer NOT NULL,
    lease_seconds real NOT NULL,
    started_at integer NOT NULL,
    seen_at integer NOT NULL,
    fenced_at integer,
    released_at integer
);
CREATE INDEX workers_unreleased ON workers (epoch) WHERE released_at IS NULL;

-- Flows: one row per durable execution. due_at is set exactly while the flow waits to be claimed.
CREATE TABLE flows (
    num integer PRIMARY KEY AUTOINCREMENT,
    id text NOT NULL UNIQUE,
    key text,
    workflow_type text NOT NULL,
    package_hash text,
    owner_session_key text NOT NULL,
    goal text NOT NULL,
    current_step text,
    state text NOT NULL,
    status text NOT NULL,
    paused integer NOT NULL DEFAULT 0,
    cancel_requested integer NOT NULL DEFAULT 0,
    attempt integer NOT NULL,
    revision integer NOT NULL,
    created_at integer NOT NULL,
    updated_at integer NOT NULL,
    seed integer NOT NULL,
    args text NOT NULL,
    args_digest integer NOT NULL,
    result text,
    error text,
    started_at integer,
    finished_at integer,
    epoch integer,
    due_at integer,
    crashes integer NOT NULL DEFAULT 0,
    crash_mark integer NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX flows_key ON flows (workflow_type, key) WHERE key IS NOT NULL;
CREATE INDEX flows_owner ON flows (owner_session_key, created_at, num);
CREATE INDEX flows_status ON flows (status, updated_at, num);
CREATE INDEX flows_due ON flows (workflow_type, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX flows_leased ON flows (epoch) WHERE epoch IS NOT NULL;
CREATE INDEX flows_cancelling ON flows (epoch) WHERE cancel_requested AND epoch IS NOT NULL;

-- Steps: the history a flow is replayed from. num is the order of recording; the engine writes a row once,
-- when the step completes. Only rows written through the port carry an id of their own.
CREATE TABLE steps (
    num integer PRIMARY KEY AUTOINCREMENT,
    flow integer NOT NULL,
    run_id text NOT NULL,
    id text,
    runtime text NOT NULL,
    task text NOT NULL,
    status text NOT NULL,
    attempt integer NOT NULL,
    digest integer,
    result text,
    error text,
    epoch integer,
    created_at integer NOT NULL,
    updated_at integer NOT NULL
);
CREATE UNIQUE INDEX steps_run ON steps (flow, run_id);
CREATE UNIQUE INDEX steps_id ON steps (id) WHERE id IS NOT NULL;

-- Events: what happened to a flow besides its steps; appended, never updated.
CREATE TABLE flow_events (
    num integer PRIMARY KEY AUTOINCREMENT,
    flow integer NOT NULL,
    id text NOT NULL,
    kind text NOT NULL,
    payload text NOT NULL,
    at integer NOT NULL
);
CREATE INDEX flow_events_flow ON flow_events (flow, num);
