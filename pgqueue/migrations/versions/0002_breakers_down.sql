-- Takes back 0002_breakers.sql.
DROP TABLE pgqueue.breakers;
