-- Council runs: one row per execution of a council. last_seq counts the events of the run, superseded ones included;
-- whoever appends takes the next number under this row's lock. epoch is the worker's that holds the run's lease.
CREATE TABLE council_runs (
    num integer PRIMARY KEY AUTOINCREMENT,
    id text NOT NULL UNIQUE,
    goal text NOT NULL,
    graph text,
    status text NOT NULL,
    hitl_mode text NOT NULL,
    epoch integer,
    last_seq integer NOT NULL DEFAULT 0,
    created_at integer NOT NULL,
    updated_at integer NOT NULL
);
CREATE INDEX council_runs_created ON council_runs (created_at, num);
CREATE INDEX council_runs_status ON council_runs (status, created_at, num);
CREATE INDEX council_runs_ended ON council_runs (updated_at) WHERE status IN ('completed', 'failed', 'cancelled');

-- Their events: appended, never updated but for superseded_at, which a rewind sets.
CREATE TABLE council_events (
    run integer NOT NULL,
    seq integer NOT NULL,
    wave_index integer,
    kind text NOT NULL,
    payload text NOT NULL,
    at integer NOT NULL,
    superseded_at integer,
    PRIMARY KEY (run, seq)
);
CREATE INDEX council_events_live ON council_events (run, seq) WHERE superseded_at IS NULL;
CREATE INDEX council_events_superseded ON council_events (superseded_at) WHERE superseded_at IS NOT NULL;
