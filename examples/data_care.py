"""What an application says about its data: what is secret, what only looks like it, how long things are kept."""

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from pgqueue import App, Context, Job, JobContext, Queue, QueueSettings, Settings
from pgqueue.errors import SecretInArguments


class ImportFeed(Job, safe=("feed_token",), retain_discarded="30d", retain_dead="90d"):
    feed_token: str  # printed on the public page, no secret

    def run(self, app: object, ctx: JobContext) -> None:
        raise ConnectionError("cannot reach postgresql://ada:hunter2@db.example.org/feeds")


class CallPartner(Job):
    account_id: int
    note: str = ""

    def run(self, app: object, ctx: JobContext) -> None:
        ctx.log.info("calling", headers={"Authorization": "Bearer 4f1c"}, url="https://example.org/?token=s3cr3tkey")


queue = Queue(
    Settings(
        queues={"default": QueueSettings(retain="10m", retain_cancelled="1d")},
        secret_names=("door_code",),
        secret_patterns=(r"acme-[0-9]{6}",),
    )
)
app = App(queue=queue, jobs=[ImportFeed, CallPartner])
context = Context("org-1", "user-1")


def refusals() -> list[str]:
    """Try to enqueue what must not be stored."""
    found = []
    with Session(create_engine(queue.settings.database_url or "")) as session:
        for note in ("the code is acme-123456", "see https://ada:hunter2@example.org/"):
            try:
                queue.enqueue(session, CallPartner(account_id=7, note=note), context=context)
            except SecretInArguments as error:
                found.append(str(error))
    return found


if __name__ == "__main__":
    print("\n".join(refusals()))
    with Session(create_engine(queue.settings.database_url or "")) as session, session.begin():
        queue.enqueue(session, ImportFeed(feed_token="summer"), context=context)
        queue.enqueue(session, CallPartner(account_id=7), context=context)
