-- Takes back 0002_limits.sql, in the opposite order. CASCADE: the functions that take or return the types.
DROP TABLE pgqueue.weights;
ALTER TABLE pgqueue.queues DROP COLUMN order_set_by;
DROP TABLE pgqueue.shares;
ALTER TABLE pgqueue.jobs DROP COLUMN permit;
ALTER TABLE pgqueue.outbox DROP CONSTRAINT outbox_limits_readable;
DROP FUNCTION pgqueue.limits_readable;
DROP TABLE pgqueue.freed;
DROP SEQUENCE pgqueue.freed_ids;
DROP SEQUENCE pgqueue.freed_mark;
DROP TABLE pgqueue.permits;
DROP SEQUENCE pgqueue.permit_numbers;
DROP TABLE pgqueue.rate_waits;
DROP TABLE pgqueue.rates;
DROP TABLE pgqueue.limits;
DROP INDEX pgqueue.jobs_held;
CREATE INDEX jobs_held ON pgqueue.jobs (hold, id) WHERE hold IS NOT NULL;
DROP TYPE pgqueue.decision CASCADE;
DROP TYPE pgqueue.candidate CASCADE;
