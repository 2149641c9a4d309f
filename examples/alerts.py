"""Who is told, and from where on: thresholds and channels in the settings, secrets in the environment."""

import os

from pgqueue import Alerts, App, Email, FailureRate, Job, JobContext, Notice, Queue, Settings, Wait, Webhook


def page(notice: Notice) -> None:
    """Any function can be a channel."""
    print(f"paging somebody: {notice.event} {notice.subject}")


settings = Settings(
    alerts=Alerts(
        long_wait=Wait(above="2m", below="30s"),
        failure_rate=FailureRate(above=0.3, below=0.1, window="10m", least=50),
        missed_tick=None,
        webhooks=[Webhook(url="env:ALERT_URL", secret="env:ALERT_SECRET")],
        emails=[
            Email(
                to=["ops@example.org"],
                sender="queue@example.org",
                host="localhost",
                port=int(os.environ.get("MAIL_PORT", "25")),
                tls="none",
            )
        ],
        hooks=[page],
    )
)


class Report(Job):
    async def run(self, app: object, ctx: JobContext) -> None:
        print("reported")


app = App(queue=Queue(settings), jobs=[Report])
