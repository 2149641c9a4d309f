"""Two queues that a supervisor balances; pgqueue.toml beside this file says how.

python billing.py && pgqueue supervise --app billing:app --until-empty
"""

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from pgqueue import App, Context, Job, JobContext, Queue


class SendInvoice(Job, queue="invoices", retain="1h"):
    number: int

    async def run(self, app: object, ctx: JobContext) -> None:
        print(f"invoice {self.number}")


class WriteReport(Job, queue="reports", retain="1h"):
    year: int

    def run(self, app: object, ctx: JobContext) -> None:
        print(f"report {self.year}")


queue = Queue()
app = App(queue=queue, jobs=[SendInvoice, WriteReport])

if __name__ == "__main__":
    engine = create_engine(queue.settings.database_url or "")
    context = Context("org-1", "user-1")
    with Session(engine) as session, session.begin():
        queue.enqueue_many(session, [SendInvoice(number=number) for number in range(3)], context=context)
        queue.enqueue_many(session, [WriteReport(year=year) for year in (2024, 2025)], context=context)
