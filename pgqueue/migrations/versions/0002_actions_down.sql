-- Takes back 0002_actions.sql.
DROP TABLE pgqueue.actions;
DROP FUNCTION pgqueue.actions_stay();
