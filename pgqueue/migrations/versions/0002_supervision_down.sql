-- Takes back 0002_supervision.sql.
DROP TABLE pgqueue.overrides;
ALTER TABLE pgqueue.workers DROP COLUMN asked, DROP COLUMN asked_by, DROP COLUMN asked_at;
ALTER TABLE pgqueue.queues DROP COLUMN workers_by, DROP COLUMN workers_at, DROP COLUMN resume_at;
