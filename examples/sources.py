"""Enqueue in one database, work in another: the shop keeps its orders and its outbox, the queue has its own server.

PGQUEUE_DATABASE_URL is the queue's database, SHOP_DATABASE_URL the application's; both have the queue's tables.
"""

import os

import psycopg

from pgqueue import App, Context, Job, JobContext, Queue, Settings


class PackOrder(Job):
    item: str

    async def run(self, app: object, ctx: JobContext) -> None:
        print(f"packed {self.item}", flush=True)


settings = Settings(concurrency=1)
queue = Queue(settings, wake="off")
app = App(queue=queue, jobs=[PackOrder])
context = Context(organization_id="org-1", user_id="user-1")


def order(item: str) -> int:
    """The application's own transaction, in its own database: the order and its job, or neither."""
    with psycopg.connect(os.environ["SHOP_DATABASE_URL"]) as shop:
        shop.execute("INSERT INTO orders (item) VALUES (%s)", [item])
        return queue.enqueue(shop, PackOrder(item=item), context=context)


if __name__ == "__main__":
    with psycopg.connect(os.environ["SHOP_DATABASE_URL"]) as conn:
        conn.execute("CREATE TABLE IF NOT EXISTS orders (item text NOT NULL)")
    print("job", order("a lamp"))
