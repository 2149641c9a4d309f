"""A circuit breaker around the calls to another system: all workers share it, and an open one spends no attempt."""

import os

from pgqueue import App, Breakers, Job, JobContext, Queue, Settings


class CardRefused(Exception):
    """An answer: the payment service works, and says no."""


settings = Settings(concurrency=1)
breakers = Breakers(settings, fail_max=2, reset_timeout="30s", exclude=[CardRefused])


class ChargeCard(Job):
    cents: int

    async def run(self, app: object, ctx: JobContext) -> None:
        with breakers.calling("payments", "api.payments.example"):
            await charge(self.cents, key=ctx.idempotency_key)


async def charge(cents: int, *, key: str) -> None:
    """Stands for a call over the network, with a timeout of its own."""
    if os.environ.get("PAYMENTS_ARE_DOWN"):
        raise ConnectionError("no answer within 5 s")
    print(f"charged {cents} cents once for {key}")


queue = Queue(settings)
app = App(queue=queue, jobs=[ChargeCard])
