"""What recurs: entries in the code, and one that people add at run time.

python recurring.py && pgqueue schedules && pgqueue work --app recurring:app --until-empty
"""

from psycopg import connect

from pgqueue import App, Context, Job, JobContext, Queue, Schedule, Schedules


class DispatchDue(Job, retain="0s"):
    async def run(self, app: object, ctx: JobContext) -> None:
        print("looked for what is due")


class Purge(Job):
    days: int

    async def run(self, app: object, ctx: JobContext) -> None:
        print(f"purged what is older than {self.days} days")


nightly = Context(organization_id="org-1", user_id="nightly")
queue = Queue()
app = App(
    queue=queue,
    jobs=[DispatchDue, Purge],
    schedules=[
        Schedule("dispatch", DispatchDue(), every="10s", context=nightly),
        Schedule(
            "purge",
            Purge(days=90),
            cron="30 2 * * *",
            time_zone="America/Sao_Paulo",
            missed="once",
            jitter="30s",
            context=nightly,
        ),
    ],
)


def add_an_entry(url: str) -> int:
    schedules = Schedules(queue)
    with connect(url) as conn:
        schedules.add(conn, Schedule("purge-week", Purge(days=7), cron="0 4 * * MON", context=nightly))
        schedules.pause(conn, "purge-week", by="ann")
        return schedules.run(conn, "purge-week", by="ann")


if __name__ == "__main__":
    print(f"job {add_an_entry((queue.settings.database_url or '').replace('+psycopg', ''))}")
