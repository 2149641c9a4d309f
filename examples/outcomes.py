"""A kind of job with everything that can be said about it: policy, outcomes, one commit, its death."""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from pgqueue import (
    App,
    Dead,
    Death,
    Discard,
    Job,
    JobContext,
    JobFailed,
    Outcome,
    Queue,
    QueueSettings,
    Retry,
    RetryIn,
    Settings,
    Snooze,
)

TABLES = """
CREATE TABLE invoices (id uuid PRIMARY KEY, amount integer NOT NULL, state text NOT NULL DEFAULT 'open');
CREATE TABLE alerts (job_id bigint PRIMARY KEY, told text NOT NULL)
"""


class ChargeInvoice(
    Job,
    queue="billing",
    timeout="30s",
    retry=Retry(max_attempts=3, backoff=["60s", "300s"]),
    retain="1h",
    max_age="2d",
):
    invoice_id: UUID

    async def run(self, app: object, ctx: JobContext) -> Outcome | None:
        async with ctx.transaction() as session:
            amount = await open_amount(session, self.invoice_id)
            if amount is not None:
                await session.execute(
                    text("UPDATE invoices SET state = 'charged' WHERE id = :id"), {"id": self.invoice_id}
                )
        return None

    def on_dead(self, app: object, session: Session, death: Death) -> None:
        session.execute(text("UPDATE invoices SET state = 'stuck' WHERE id = :id"), {"id": self.invoice_id})


async def open_amount(session: AsyncSession, invoice_id: UUID) -> int | None:
    found = await session.execute(
        text("SELECT amount FROM invoices WHERE id = :id AND state = 'open'"), {"id": invoice_id}
    )
    return found.scalar()


class RemindCustomer(Job, queue="billing"):
    invoice_id: UUID
    answer: str

    def run(self, app: object, ctx: JobContext) -> Outcome | None:
        match self.answer:
            case "busy":
                return Snooze("5m", "the mail server is busy")
            case "strange":
                return RetryIn("60s", "the mail server said something strange")
            case "unsubscribed":
                return Discard("the customer wants no reminders")
            case "unknown":
                return Dead("there is no such customer")
        return None


class TellOperator(JobFailed, queue="billing"):
    def run(self, app: object, ctx: JobContext) -> None:
        with ctx.transaction() as session:
            session.execute(
                text("INSERT INTO alerts VALUES (:id, :told)"),
                {"id": self.job_id, "told": f"{self.job_kind} died: {self.reason}"},
            )


queue = Queue(Settings(queues={"billing": QueueSettings(priority="high", workers=3, timeout="90s")}))
app = App(queue=queue, jobs=[ChargeInvoice, RemindCustomer], on_job_failed=[TellOperator])
