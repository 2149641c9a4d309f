"""Equal jobs: one of them does the work.

python uniqueness.py && pgqueue work --app uniqueness:app --until-empty
"""

from uuid import UUID

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from pgqueue import App, Context, Debounce, Job, JobContext, Queue, Throttle, Unique


class PublishPost(Job, unique=Unique("post_id", while_="live")):
    post_id: UUID
    asked_by: str = "schedule"

    async def run(self, app: object, ctx: JobContext) -> None:
        print(f"published {self.post_id.int}, asked by {self.asked_by}")


class RebuildFeed(Job, unique=Unique("account_id", while_="live", on_conflict="replace")):
    account_id: UUID
    upto: int

    async def run(self, app: object, ctx: JobContext) -> None:
        print(f"feed {self.account_id.int} up to {self.upto}")


class IndexPost(Job, unique=Debounce("post_id", wait="30s", max_wait="5m")):
    post_id: UUID
    text: str

    async def run(self, app: object, ctx: JobContext) -> None:
        print(f"indexed {self.text!r}")


class WarnOwner(Job, unique=Throttle("account_id", every="1h")):
    account_id: UUID

    async def run(self, app: object, ctx: JobContext) -> None:
        print(f"warned the owner of {self.account_id.int}")


queue = Queue()
app = App(queue=queue, jobs=[PublishPost, RebuildFeed, IndexPost, WarnOwner])
context = Context(organization_id="org-1", user_id="user-1")


def enqueue_all(session: Session) -> None:
    one = UUID(int=1)
    queue.enqueue(session, PublishPost(post_id=one), context=context)
    queue.enqueue(session, PublishPost(post_id=one, asked_by="button"), context=context)
    for upto in range(3):
        queue.enqueue(session, RebuildFeed(account_id=one, upto=upto), context=context)
    for draft in ("a", "a new", "a new text"):
        queue.enqueue(session, IndexPost(post_id=one, text=draft), context=context)
    queue.enqueue_many(session, [WarnOwner(account_id=one) for _ in range(100)], context=context)


def from_sql(session: Session) -> int:
    query = """SELECT pgqueue.enqueue('PublishPost', jsonb_build_object('post_id', CAST(:post AS text)),
                                      'org-1', 'user-1', unique_key => :key)"""
    post = UUID(int=1)
    return session.scalars(text(query), {"post": str(post), "key": f'{{"post_id":"{post}"}}'}).one()


if __name__ == "__main__":
    engine = create_engine(queue.settings.database_url or "")
    with Session(engine) as session, session.begin():
        enqueue_all(session)
        from_sql(session)
