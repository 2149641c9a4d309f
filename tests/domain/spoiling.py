"""Breaks every promise of a demo that is still running: no check may be one that always holds."""

from __future__ import annotations

import re
import smtplib
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psycopg

from domain.demo.facts import Facts, Outside
from domain.demo.processes import Remote
from domain.demo.scenes import happy, paying
from domain.demo.seed import BRUNO, SECRETS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Each line breaks something that a check looks at.
_STATEMENTS = (
    "UPDATE smm.scheduled_posts SET permalink = ''",
    "UPDATE smm.scheduled_posts SET status = 'failed' WHERE status = 'published'",
    """UPDATE smm.scheduled_posts SET status = 'publishing'
        WHERE social_account_id IN (SELECT id FROM smm.social_accounts WHERE provider = 'linkedin')""",
    "UPDATE smm.social_accounts SET status = 'active' WHERE status = 'needs_reauth'",
    "UPDATE smm.webhook_deliveries SET attempts = 9",
    "UPDATE smm.webhook_endpoints SET status = 'active'",
    "DELETE FROM smm.notifications WHERE kind = 'subscription_past_due'",
    "UPDATE smm.organizations SET plan = 'business'",
    """SELECT pgqueue.enqueue('ScanMediaJob', '{"media_id": "none"}', 'o', 'u', queue => 'media-processing')""",
)


@contextmanager
def facts_of(running: Mapping[str, Any]) -> Iterator[Facts]:
    """Look at a demo that was started with --json --keep."""
    parts = [Remote(place["url"], place["control"]) for place in running.values() if isinstance(place, dict)]
    try:
        with Facts(running["database"], Outside(*parts), Path(running["objects"])) as facts:
            yield facts
    finally:
        for part in parts:
            part.close()


def spoil(facts: Facts, database: str) -> None:
    """Break everything."""
    _write_mails_again(facts)
    _post_again(facts.outside.mastodon.url, SECRETS[0], happy.TEXT)
    _post_again(facts.outside.second.url, SECRETS[4], paying.TEXTS[0])
    for kept in facts.objects.rglob("*"):
        if kept.is_file():
            kept.write_bytes(b"")
    [secret] = {
        found[1]
        for message in facts.outside.mail.state()["messages"]
        if (found := re.search(r"/reset-password\?secret=([\w=-]+)", message["text"]))
    }
    with psycopg.connect(database, autocommit=True) as conn:
        for statement in _STATEMENTS:
            conn.execute(statement.encode())
        conn.execute("UPDATE smm.users SET name = %s WHERE status = 'anonymized'", [BRUNO])
        conn.execute("UPDATE smm.organizations SET name = %s", [f"{SECRETS[0]} {secret}"])


def _write_mails_again(facts: Facts) -> None:
    host, _, port = facts.outside.mail.url.removeprefix("smtp://").partition(":")
    with smtplib.SMTP(host, int(port)) as server:
        for kept in facts.outside.mail.state()["messages"]:
            message = EmailMessage()
            message["To"], message["Subject"], message["Message-ID"] = kept["to"], kept["subject"], kept["message_id"]
            message["From"] = "somebody@example.com"
            message.set_content(kept["text"])
            server.send_message(message)


def _post_again(url: str, token: str, text: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    httpx.post(f"{url}/api/v1/statuses", json={"status": text}, headers=headers, trust_env=False).raise_for_status()
