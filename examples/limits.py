"""At most so many at once: for each organization, and for one provider that two kinds of job call.

pgqueue migrate
python limits.py                             enqueues
pgqueue work --app limits:app --until-empty
pgqueue limits                               what is taken, what is held
"""

import asyncio
import os

import psycopg

from pgqueue import App, Context, Job, JobContext, Limit, Queue

PROVIDER = Limit(running=2, name="mail-provider")


class SendInvitation(Job, limit=[Limit("organization_id", running=1), PROVIDER]):
    to: str

    async def run(self, app: object, ctx: JobContext) -> None:
        await asyncio.sleep(0.01)
        print(f"{ctx.organization_id}: invitation to {self.to}")


class SendReceipt(Job, limit=PROVIDER):
    to: str

    async def run(self, app: object, ctx: JobContext) -> None:
        print(f"{ctx.organization_id}: receipt to {self.to}")


queue = Queue()
app = App(queue=queue, jobs=[SendInvitation, SendReceipt])

if __name__ == "__main__":
    with psycopg.connect(os.environ["PGQUEUE_DATABASE_URL"].replace("+psycopg", "")) as conn:
        for organization in ("acme", "globex"):
            context = Context(organization_id=organization, user_id="ann")
            queue.enqueue_many(conn, [SendInvitation(to=f"{n}@example.com") for n in range(3)], context=context)
            queue.enqueue(conn, SendReceipt(to="ann@example.com"), context=context)
