"""A small application whose tests use the testing kit."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from pgqueue import App, Context, Job, JobContext, Queue, Retry

TABLES = "CREATE TABLE orders (id bigint PRIMARY KEY, state text NOT NULL DEFAULT 'open')"


class ShipOrder(Job, retry=Retry(3, ["60s", "300s", "900s"])):
    order_id: int

    def run(self, app: object, ctx: JobContext) -> None:
        with ctx.transaction() as session:
            session.execute(text("UPDATE orders SET state = 'shipped' WHERE id = :id"), {"id": self.order_id})
            queue.enqueue(session, AskForReview(order_id=self.order_id), delay="7d")


class AskForReview(Job):
    order_id: int

    def run(self, app: object, ctx: JobContext) -> None:
        with ctx.transaction() as session:
            session.execute(text("UPDATE orders SET state = 'reviewed' WHERE id = :id"), {"id": self.order_id})


def place_order(session: Session, order_id: int) -> None:
    session.execute(text("INSERT INTO orders (id) VALUES (:id)"), {"id": order_id})
    queue.enqueue(session, ShipOrder(order_id=order_id), context=Context("shop-1", "ann"))
    session.commit()


queue = Queue()
app = App(queue=queue, jobs=[ShipOrder, AskForReview])
