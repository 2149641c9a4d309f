"""The three executors: a coroutine, a thread, a child process; and a job that takes its process down."""

import asyncio
import os
import sys

from sqlalchemy import text

from pgqueue import App, Context, Death, Job, JobContext, Queue, Retry, Settings


class CallPartner(Job, timeout="15s"):
    async def run(self, app: object, ctx: JobContext) -> None:
        await asyncio.sleep(0.01)
        print("called in the event loop")


class WriteReport(Job, timeout="60s"):
    def run(self, app: object, ctx: JobContext) -> None:
        for page in range(3):
            if ctx.cancelled:
                return
            print(f"wrote page {page} in a thread")


class ResizeImage(Job, executor="process", timeout="60s", memory="512MB", cpu="30s"):
    image_id: int

    def run(self, app: object, ctx: JobContext) -> None:
        with ctx.transaction() as session:
            session.execute(text("UPDATE images SET resized = true WHERE id = :id"), {"id": self.image_id})


class ReadBomb(Job, executor="process", timeout="1s", memory="64MB", retry=Retry(max_attempts=1, backoff=[])):
    how: str

    def run(self, app: object, ctx: JobContext) -> None:
        if self.how == "memory":
            bytearray(1024**3)
        if self.how == "crash":
            os.abort()
        while True:
            pass

    def on_dead(self, app: object, session: object, death: Death) -> None:
        print(f"{self.how}: {death.reason}, {death.error}")


queue = Queue(Settings())
app = App(queue=queue, jobs=[CallPartner, WriteReport, ResizeImage, ReadBomb])

if __name__ == "__main__":
    import psycopg

    jobs = [CallPartner(), WriteReport(), ResizeImage(image_id=1), *(ReadBomb(how=how) for how in sys.argv[1:])]
    with psycopg.connect(os.environ["PGQUEUE_DATABASE_URL"].replace("+psycopg", "")) as conn:
        conn.execute("CREATE TABLE IF NOT EXISTS images (id integer PRIMARY KEY, resized boolean NOT NULL)")
        conn.execute("INSERT INTO images VALUES (1, false) ON CONFLICT DO NOTHING")
        for job in jobs:
            queue.enqueue(conn, job, context=Context(organization_id="org-1", user_id="user-1"))
