-- Takes back 0002_sources.sql, in the opposite order.
DO $down$
DECLARE
  item record;
BEGIN
  FOR item IN SELECT s.number FROM pgqueue.sources s LOOP
    EXECUTE format('DROP SEQUENCE IF EXISTS pgqueue.%I', 'turn_carry_' || item.number);
    DELETE FROM pgqueue.turns WHERE name = 'carry_' || item.number;
  END LOOP;
END
$down$;
ALTER TABLE pgqueue.outbox DROP CONSTRAINT outbox_lane_known;
ALTER TABLE pgqueue.outbox ADD CONSTRAINT outbox_lane_known CHECK (lane IN (0, 1));
ALTER TABLE pgqueue.stamp DROP COLUMN carried_as;
DROP TABLE pgqueue.carried, pgqueue.sources;
