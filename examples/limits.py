"""So many at once, for each organization and for a provider that two kinds call; so many in a minute.

pgqueue migrate
python limits.py                             enqueues
pgqueue work --app limits:app --until-empty
pgqueue limits                               what is taken, what is held
"""

import asyncio
import os

import psycopg

from pgqueue import App, Context, Job, JobContext, Limit, Queue, Rate, take

PROVIDER = Limit(running=2, name="mail-provider")
LOOKUPS = Rate("organization_id", count=600, per="1m", burst=2, name="lookups")


class SendInvitation(Job, limit=[Limit("organization_id", running=1), PROVIDER]):
    to: str

    async def run(self, app: object, ctx: JobContext) -> None:
        await asyncio.sleep(0.01)
        print(f"{ctx.organization_id}: invitation to {self.to}")


class SendReceipt(Job, limit=PROVIDER):
    to: str

    async def run(self, app: object, ctx: JobContext) -> None:
        print(f"{ctx.organization_id}: receipt to {self.to}")


class LookUpAddress(Job, limit=LOOKUPS):
    of: str

    async def run(self, app: object, ctx: JobContext) -> None:
        print(f"{ctx.organization_id}: address of {self.of}")


def may_look_up(conn: psycopg.Connection, organization_id: str) -> bool:
    """For a request handler, in autocommit: counts with the jobs."""
    return not take(conn, LOOKUPS, organization_id)


queue = Queue()
app = App(queue=queue, jobs=[SendInvitation, SendReceipt, LookUpAddress])

if __name__ == "__main__":
    with psycopg.connect(os.environ["PGQUEUE_DATABASE_URL"].replace("+psycopg", "")) as conn:
        for organization in ("acme", "globex"):
            context = Context(organization_id=organization, user_id="ann")
            queue.enqueue_many(conn, [SendInvitation(to=f"{n}@example.com") for n in range(3)], context=context)
            queue.enqueue(conn, SendReceipt(to="ann@example.com"), context=context)
            queue.enqueue_many(conn, [LookUpAddress(of=name) for name in ("ann", "bob", "eve")], context=context)
