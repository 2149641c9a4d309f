"""A queue that organizations share, however many jobs one of them has in front.

pgqueue migrate
python fairness.py                             enqueues 100 jobs of one organization, then one of another
pgqueue work --app fairness:app --until-empty
"""

import os

import psycopg

from pgqueue import App, Context, Job, JobContext, Queue, QueueSettings, Settings


class ExportTable(Job, queue="exports", cost=5):
    name: str

    async def run(self, app: object, ctx: JobContext) -> None:
        print(f"{ctx.organization_id}: {self.name}")


class ExportRow(Job, queue="exports"):
    name: str

    async def run(self, app: object, ctx: JobContext) -> None:
        print(f"{ctx.organization_id}: {self.name}")


settings = Settings(queues={"exports": QueueSettings(order="fair", workers=1)}, concurrency=1)
queue = Queue(settings)
app = App(queue=queue, jobs=[ExportTable, ExportRow])

if __name__ == "__main__":
    with psycopg.connect(os.environ["PGQUEUE_DATABASE_URL"].replace("+psycopg", "")) as conn:
        heavy, light = Context("heavy", "ann"), Context("light", "bob")
        queue.enqueue_many(conn, [ExportTable(name=f"table {n}") for n in range(100)], context=heavy)
        queue.enqueue(conn, ExportRow(name="row 1"), context=light)
