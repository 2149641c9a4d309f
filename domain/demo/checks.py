"""What must be true in the end, whatever was played: asked of the outside, the database and the stored objects."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from domain.demo.seed import SECRETS

if TYPE_CHECKING:
    from domain.demo.facts import Facts

ENDED = ("published", "failed", "paused", "canceled")


class Check(NamedTuple):
    """One promise, whether it was kept, and the figures."""

    name: str
    ok: bool
    detail: str


def check(facts: Facts) -> list[Check]:
    """Check everything that holds for all scenes."""
    return [no_duplicates(facts), same_word(facts), ended(facts), no_dead_letters(facts), mails(facts), secrets(facts)]


def no_duplicates(facts: Facts) -> Check:
    """Look at what a reader of the networks sees."""
    shown = facts.on_networks()
    doubles = len(shown) - len(Counter((post.network, post.account, post.text) for post in shown))
    detail = f"{doubles} duplicates among {len(shown)} posts on {len({post.network for post in shown})} networks"
    return Check("no post is on a network twice", doubles == 0, detail)


def same_word(facts: Facts) -> Check:
    """Compare what we call published with what is there, post by post."""
    ours = {
        (row["base_url"], row["external_id"])
        for row in facts.rows(
            """SELECT a.base_url, s.external_id FROM smm.scheduled_posts s
               JOIN smm.social_accounts a ON a.id = s.social_account_id WHERE s.status = 'published'"""
        )
    }
    theirs = {(post.url, post.external_id) for post in facts.on_networks()}
    detail = f"{len(ours)} here, {len(theirs)} there, {len(ours ^ theirs)} differ"
    return Check("what we call published is what the networks have", ours == theirs, detail)


def ended(facts: Facts) -> Check:
    """Find posts that are due and neither here nor there."""
    counts = facts.posts()
    open_ = facts.number(
        "SELECT count(*) FROM smm.scheduled_posts WHERE status <> ALL (%s) AND scheduled_at < now()", list(ENDED)
    )
    listed = ", ".join(f"{number} {status}" for status, number in sorted(counts.items())) or "none"
    return Check("every post that was due has come to a clear end", open_ == 0, listed)


def no_dead_letters(facts: Facts) -> Check:
    """Count what is left in the dead letters."""
    left = facts.number("SELECT count(*) FROM pgqueue.dead_jobs")
    return Check("no dead letter is left", left == 0, f"{left} in pgqueue.dead_jobs")


def mails(facts: Facts) -> Check:
    """Compare the mail server's word with ours; whose account is deleted has no rows any more, but a count of them."""
    received = Counter(message["message_id"] for message in facts.outside.mail.state()["messages"])
    sent = {row["message_id"] for row in facts.rows("SELECT message_id FROM smm.email_messages WHERE status = 'sent'")}
    forgotten = facts.number(
        "SELECT coalesce(sum((evidence ->> 'email_messages')::int), 0) FROM smm.account_deletions WHERE status = 'done'"
    )
    doubles = received.total() - len(received)
    ok = doubles == 0 and sent <= received.keys() and len(received) == len(sent) + forgotten
    detail = f"{received.total()} received, {len(sent)} in the database, {forgotten} of deleted accounts"
    return Check("every mail arrived once", ok, detail)


def secrets(facts: Facts) -> Check:
    """Look for the networks' tokens in every row of both schemas."""
    found = [table for table in facts.tables() for secret in SECRETS if facts.mentions(table, secret)]
    return Check("no access token stands in clear in the database", not found, ", ".join(found) or "0 rows hold one")
