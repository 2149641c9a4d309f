"""`pgqueue alerts`: what is raised now, which messages did not arrive, and a test of every channel."""

import secrets
from datetime import UTC, datetime
from typing import Annotated

import typer

from pgqueue.cli.jobs import Limit
from pgqueue.cli.operate import AppPath
from pgqueue.cli.output import Column, age, print_json, record, say, table
from pgqueue.cli.state import app_of, opened, options
from pgqueue.errors import ConfigurationError

group = typer.Typer(help="See what is raised (a bare `pgqueue alerts` lists), what was told, and test the channels.")

_COLUMNS = (
    Column("state"),
    Column("since", right=True),
    Column("rule"),
    Column("about", grows=True),
    Column("seen", right=True),
    Column("what", grows=True),
)
_MESSAGE_COLUMNS = (
    Column("made"),
    Column("event"),
    Column("rule"),
    Column("about", grows=True),
    Column("channel", grows=True),
    Column("tries", right=True),
    Column("sent"),
    Column("error", grows=True),
)


@group.command("list")
def list_alerts(ctx: typer.Context) -> None:
    """List the alerts that are raised, the oldest first. Exit code 1 if there is one."""
    from pgqueue.queries.alerts import AlertQueries

    with opened(ctx) as database:
        found = database.ask(AlertQueries(database.schema).raised())
    if options(ctx).json:
        print_json([record(one) for one in found])
    else:
        rows = [
            ("raised", age(one.raised_seconds), one.rule, one.subject, f"{age(one.sampled_seconds)} ago", one.text)
            for one in found
        ]
        table(_COLUMNS, rows, empty="no alert is raised")
    if found:
        raise typer.Exit(1)


@group.command("messages")
def list_messages(
    ctx: typer.Context,
    *,
    unsent: Annotated[bool, typer.Option("--unsent", help="Only those that were not delivered (yet).")] = False,
    limit: Limit = 50,
) -> None:
    """List messages and what became of them, the last first."""
    from pgqueue.queries.alerts import AlertQueries

    with opened(ctx) as database:
        found = database.ask(AlertQueries(database.schema).messages(unsent=unsent, limit=limit))
    if options(ctx).json:
        print_json([record(one) for one in found])
        return
    rows = [
        (
            f"{one.made_at.astimezone(UTC):%Y-%m-%d %H:%M}",
            one.event,
            one.rule,
            one.subject,
            one.channel,
            one.tries,
            "yes" if one.sent_at else "not yet" if one.next_try_at else "given up",
            one.error,
        )
        for one in found
    ]
    table(_MESSAGE_COLUMNS, rows, empty="no messages")


@group.command("test")
def send_tests(ctx: typer.Context, *, app: AppPath = None) -> None:
    """Send a test message through every channel of an App's settings. Exit code 1 if one failed. Needs no database."""
    from pgqueue.alerts import Notice
    from pgqueue.channels import channels_of, deliver

    alerts = app_of(app).settings.alerts
    if alerts is None:
        raise ConfigurationError("this App's settings say alerts=None: nobody would be told")
    now = datetime.now(UTC)
    told = []
    for channel in channels_of(alerts):
        notice = Notice(
            f"test/{secrets.token_hex(8)}", "test", "test", "pgqueue", 0.0, "A test: this channel works.", now, now
        )
        told.append({"channel": channel.name, "error": deliver(channel, notice)})
    if options(ctx).json:
        print_json(told)
    else:
        for one in told:
            say(f"{one['channel']}: {one['error'] or 'sent'}")
        if not told:
            say("no channels: give Alerts a log, webhooks, emails or hooks")
    if not told or any(one["error"] for one in told):
        raise typer.Exit(1)
