"""The smallest application: one kind of job, enqueued in the transaction that needs it.

python quickstart.py && pgqueue work --app quickstart:app --until-empty
"""

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from pgqueue import App, Context, Job, JobContext, Queue


class SendWelcome(Job):
    email: str

    async def run(self, app: object, ctx: JobContext) -> None:
        print(f"welcome, {self.email}")


queue = Queue()
app = App(queue=queue, jobs=[SendWelcome])

if __name__ == "__main__":
    engine = create_engine(queue.settings.database_url or "")
    with Session(engine) as session, session.begin():
        queue.enqueue(session, SendWelcome(email="ada@example.org"), context=Context("org-1", "user-1"))
