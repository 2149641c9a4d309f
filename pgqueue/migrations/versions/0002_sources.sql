-- Outboxes in other databases. A source's number is its range of job ids: number * 2^44 and up, so ids stay below 2^53.
CREATE TABLE pgqueue.sources (
  name text COLLATE "C" PRIMARY KEY CONSTRAINT sources_name_plain CHECK (name ~ '^[a-z0-9][a-z0-9_.:-]{0,62}$'),
  number smallint NOT NULL GENERATED ALWAYS AS IDENTITY CONSTRAINT sources_number_free UNIQUE
    CONSTRAINT sources_number_bounded CHECK (number BETWEEN 1 AND 511),
  added_at timestamptz NOT NULL DEFAULT pgqueue.clock()
);

-- Jobs of a source that stand in the queue while their row may still stand in the source's outbox.
CREATE TABLE pgqueue.carried (
  source smallint NOT NULL REFERENCES pgqueue.sources (number),
  id bigint NOT NULL,
  PRIMARY KEY (source, id)
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 2000);

-- Under which name this database's own outbox is carried to another one, if it is.
ALTER TABLE pgqueue.stamp ADD COLUMN carried_as text;

-- Lane 2: filled and emptied inside one transaction, by carry.
ALTER TABLE pgqueue.outbox DROP CONSTRAINT outbox_lane_known;
ALTER TABLE pgqueue.outbox ADD CONSTRAINT outbox_lane_known CHECK (lane IN (0, 1, 2));
