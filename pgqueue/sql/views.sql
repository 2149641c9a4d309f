-- What people, CLI and dashboards look at.

-- view: all_jobs
-- Every job wherever it stands. Until a worker runs, a job is only in the outbox.
-- A merged one is shown for a week: its work is done by the job that its reason names.
-- A part with a condition of its own could not be read in order of id, and listing the newest jobs would sort them
-- all: so what is kept too long is left out around the parts, and in words that do not prune the days one by one.
-- The outbox is short; both its lanes are named so that one id is found by key.
CREATE OR REPLACE VIEW pgqueue.all_jobs AS
SELECT a.* FROM (
  SELECT o.id, 'enqueued' AS state, o.queue, o.kind, o.payload_version, o.organization_id, o.user_id, o.correlation_id,
    o.trace_id, 0::smallint AS attempt, o.max_attempts, 0::smallint AS crashes,
    coalesce(o.run_at, o.enqueued_at + o.delay) AS run_at, o.enqueued_at, NULL::timestamptz AS started_at,
    NULL::timestamptz AS finished_at, NULL::timestamptz AS keep_until, NULL::uuid AS worker_id, NULL::text AS reason,
    o.args, '[]'::jsonb AS errors
  FROM pgqueue.outbox o WHERE o.lane IN (0, 1)
  UNION ALL
  SELECT j.id, CASE WHEN j.claimed_by IS NOT NULL THEN 'running' WHEN j.position IS NOT NULL THEN 'ready'
                    WHEN j.hold IS NOT NULL THEN 'held' ELSE 'waiting' END,
    j.queue, j.kind, j.payload_version, j.organization_id, j.user_id, j.correlation_id, j.trace_id, j.attempt,
    j.max_attempts, j.crashes, j.run_at, j.enqueued_at, j.claimed_at, NULL, NULL, j.claimed_by,
    coalesce(j.doomed, j.hold), j.args, j.errors
  FROM pgqueue.jobs j
  UNION ALL
  SELECT f.id, f.state, f.queue, f.kind, f.payload_version, f.organization_id, f.user_id, f.correlation_id, f.trace_id,
    f.attempt, f.max_attempts, f.crashes, f.run_at, f.enqueued_at, f.started_at, f.finished_at, f.keep_until,
    f.worker_id, f.reason, f.args, f.errors
  FROM pgqueue.finished_jobs f
  UNION ALL
  SELECT d.id, 'dead', d.queue, d.kind, d.payload_version, d.organization_id, d.user_id, d.correlation_id, d.trace_id,
    d.attempt, d.max_attempts, d.crashes, d.run_at, d.enqueued_at, d.started_at, d.died_at, NULL, d.worker_id, d.reason,
    d.args, d.errors
  FROM pgqueue.dead_jobs d
  UNION ALL
  SELECT m.id, 'merged', m.queue, m.kind, m.payload_version, m.organization_id, m.user_id, m.correlation_id, m.trace_id,
    0::smallint, NULL, 0::smallint, NULL, m.enqueued_at, NULL, m.merged_at, NULL, NULL, 'merged into job ' || m.survivor, NULL, '[]'
  FROM pgqueue.merged_jobs m
) AS a
WHERE (a.keep_until > (SELECT pgqueue.clock())) IS NOT FALSE

-- view: dead_by_error
-- The same fault of the same kind, however often: the place to begin.
CREATE OR REPLACE VIEW pgqueue.dead_by_error AS
SELECT g.fingerprint, g.kind, g.error_type, g.jobs, g.organizations, g.first_died_at, g.last_died_at, g.sample_id,
  s.error AS sample_error
FROM (SELECT d.fingerprint, d.kind, d.error_type, count(*) AS jobs, count(DISTINCT d.organization_id) AS organizations,
             min(d.died_at) AS first_died_at, max(d.died_at) AS last_died_at, max(d.id) AS sample_id
      FROM pgqueue.dead_jobs d GROUP BY d.fingerprint, d.kind, d.error_type) AS g
JOIN pgqueue.dead_jobs s ON s.id = g.sample_id

-- view: dead_by_kind
CREATE OR REPLACE VIEW pgqueue.dead_by_kind AS
SELECT g.kind, g.jobs, g.organizations, g.first_died_at, g.last_died_at, g.sample_id, s.error AS sample_error
FROM (SELECT d.kind, count(*) AS jobs, count(DISTINCT d.organization_id) AS organizations,
             min(d.died_at) AS first_died_at, max(d.died_at) AS last_died_at, max(d.id) AS sample_id
      FROM pgqueue.dead_jobs d GROUP BY d.kind) AS g
JOIN pgqueue.dead_jobs s ON s.id = g.sample_id

-- view: dead_by_organization
CREATE OR REPLACE VIEW pgqueue.dead_by_organization AS
SELECT g.organization_id, g.jobs, g.kinds, g.first_died_at, g.last_died_at, g.sample_id, s.error AS sample_error
FROM (SELECT d.organization_id, count(*) AS jobs, count(DISTINCT d.kind) AS kinds,
             min(d.died_at) AS first_died_at, max(d.died_at) AS last_died_at, max(d.id) AS sample_id
      FROM pgqueue.dead_jobs d GROUP BY d.organization_id) AS g
JOIN pgqueue.dead_jobs s ON s.id = g.sample_id
