-- Takes back 0002_alerts.sql.
DROP TABLE pgqueue.attempt_counts, pgqueue.alert_messages, pgqueue.alerts;
