-- The routing table: one row per live route, and the head that every change locks. The head exists from the
-- beginning, so that the very first writers queue on it too.
CREATE TABLE routing_head (
    one int PRIMARY KEY CHECK (one = 1),
    revision bigint NOT NULL,
    digest text NOT NULL
);
INSERT INTO routing_head (one, revision, digest)
VALUES (1, 0, '4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945');

CREATE TABLE gateway_routes (
    id text COLLATE "C" PRIMARY KEY,
    route text NOT NULL
);

-- Gateway plans: what was reviewed, under its digest, and, once applied, the set that it replaced.
CREATE TABLE plan_runs (
    num bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id uuid NOT NULL UNIQUE,
    status text COLLATE "C" NOT NULL,
    base_revision bigint NOT NULL,
    digest text NOT NULL,
    result text NOT NULL,
    error text,
    created_at bigint NOT NULL,
    applied_at bigint,
    applied_revision bigint,
    inverse text,
    reverted_at bigint
);
CREATE INDEX plan_runs_created ON plan_runs (created_at, num);
CREATE INDEX plan_runs_status ON plan_runs (status, created_at, num);
