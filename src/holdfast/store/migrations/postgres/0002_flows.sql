-- Workers: one row per life of a worker. Its number is the epoch under which the worker holds its leases;
-- fencing the row ends them all at once.
CREATE TABLE workers (
    epoch bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    host text NOT NULL,
    pid int NOT NULL,
    workflow_types text NOT NULL,
    beat bigint NOT NULL,
    lease_seconds double precision NOT NULL,
    started_at bigint NOT NULL,
    seen_at bigint NOT NULL,
    fenced_at bigint,
    released_at bigint
);
CREATE INDEX workers_unreleased ON workers (epoch) WHERE released_at IS NULL;

-- Flows: one row per durable execution. due_at is set exactly while the flow waits to be claimed.
CREATE TABLE flows (
    num bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id uuid NOT NULL UNIQUE,
    key text COLLATE "C",
    workflow_type text COLLATE "C" NOT NULL,
    package_hash text,
    owner_session_key text COLLATE "C" NOT NULL,
    goal text NOT NULL,
    current_step text,
    state text NOT NULL,
    status text NOT NULL,
    paused boolean NOT NULL DEFAULT false,
    cancel_requested boolean NOT NULL DEFAULT false,
    attempt int NOT NULL,
    revision bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    seed bigint NOT NULL,
    args text NOT NULL,
    args_digest bigint NOT NULL,
    result text,
    error text,
    started_at bigint,
    finished_at bigint,
    epoch bigint,
    due_at bigint,
    crashes int NOT NULL DEFAULT 0,
    crash_mark bigint NOT NULL DEFAULT 0
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
    num bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    flow bigint NOT NULL,
    run_id text COLLATE "C" NOT NULL,
    id uuid,
    runtime text NOT NULL,
    task text NOT NULL,
    status text NOT NULL,
    attempt int NOT NULL,
    digest bigint,
    result text,
    error text,
    epoch bigint,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);
CREATE UNIQUE INDEX steps_run ON steps (flow, run_id);
CREATE UNIQUE INDEX steps_id ON steps (id) WHERE id IS NOT NULL;

-- Events: what happened to a flow besides its steps; appended, never updated.
CREATE TABLE flow_events (
    num bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    flow bigint NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL,
    payload text NOT NULL,
    at bigint NOT NULL
);
CREATE INDEX flow_events_flow ON flow_events (flow, num);
