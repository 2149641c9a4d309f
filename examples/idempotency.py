"""Running a job twice is the same as running it once: three ways, and what each of them is for."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from pgqueue import App, Context, Job, JobContext, Outcome, Queue, Snooze
from pgqueue.errors import LockTaken

TABLES = """
CREATE TABLE posts (id uuid PRIMARY KEY, status text NOT NULL DEFAULT 'dispatched', sent boolean);
CREATE TABLE credits (post_id uuid NOT NULL, amount integer NOT NULL)
"""

queue = Queue()
engine = create_engine(queue.settings.database_url or "")


def was_sent(post_id: UUID) -> bool:
    with Session(engine) as session:
        return bool(session.scalar(text("SELECT sent FROM posts WHERE id = :id"), {"id": post_id}))


def send_to_the_network(post_id: UUID, key: str, fence: int | None = None) -> None:
    print(f"sent {post_id.int} with {key!r}" + ("" if fence is None else " under a lock"))


class MarkPublished(Job):
    post_id: UUID

    def run(self, app: object, ctx: JobContext) -> Outcome | None:
        with Session(engine) as session, session.begin():
            if done := queue.check_state(session, "posts", {"id": self.post_id}, status="dispatched"):
                return done
            session.execute(text("UPDATE posts SET status = 'published' WHERE id = :id"), {"id": self.post_id})
        return None


class SendPost(Job):
    post_id: UUID

    def run(self, app: object, ctx: JobContext) -> Outcome | None:
        try:
            with queue.lock(f"publish:{self.post_id}", ttl="120s") as lock:
                if was_sent(self.post_id):
                    return None
                send_to_the_network(self.post_id, ctx.idempotency_key, lock.fence)
                with Session(engine) as session, session.begin():
                    lock.assert_held(session)
                    session.execute(text("UPDATE posts SET sent = true WHERE id = :id"), {"id": self.post_id})
        except LockTaken as taken:
            return Snooze(min(taken.retry_after, timedelta(seconds=10)), "somebody else publishes it")
        return None


class CreditAuthor(Job):
    post_id: UUID

    async def run(self, app: object, ctx: JobContext) -> None:
        with Session(engine) as session, session.begin():
            if queue.once(session, f"credit:{self.post_id}"):
                session.execute(text("INSERT INTO credits VALUES (:id, 5)"), {"id": self.post_id})


app = App(queue=queue, jobs=[MarkPublished, SendPost, CreditAuthor])

if __name__ == "__main__":
    with Session(engine) as session, session.begin():
        post, context = UUID(int=1), Context("org-1", "user-1")
        session.execute(text("INSERT INTO posts (id) VALUES (:id)"), {"id": post})
        for kind in (MarkPublished, SendPost, CreditAuthor):
            queue.enqueue_many(session, [kind(post_id=post), kind(post_id=post)], context=context)
