"""Entries of the code: checked when the App is built, all faults at once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pgqueue import App, Context, Job, JobContext, Queue, Schedule, Settings
from pgqueue.errors import ConfigurationError
from pgqueue.schedule import entry_of

QUEUE = Queue(Settings(environment={}), wake="off")
ONE = Queue(Settings(environment={}, default_organization_id="all", default_user_id="cron"), wake="off")
CONTEXT = Context("acme", "ann")


class Purge(Job):
    days: int = 30

    async def run(self, app: object, ctx: JobContext) -> None:
        """Nothing to do."""


class Elsewhere(Job, queue="elsewhere"):
    async def run(self, app: object, ctx: JobContext) -> None:
        """Nothing to do."""


class Key(Job):
    note: str

    async def run(self, app: object, ctx: JobContext) -> None:
        """Nothing to do."""


def entry(**more: Any) -> Schedule:
    given: dict[str, Any] = {"name": "purge", "job": Purge(), "every": "1h", "context": CONTEXT}
    return Schedule(**(given | more))


def test_an_app_keeps_its_entries() -> None:
    app = App(queue=QUEUE, jobs=[Purge], schedules=[entry(), entry(name="other", every=None, cron=" 30  2 * * * ")])
    assert [(one["name"], one["cron"], one["every"]) for one in app.schedules] == [
        ("purge", None, "0 days 3600.000000 seconds"),
        ("other", "30 2 * * *", None),
    ]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"name": "Purge!"}, "name must be 1 to 63"),
        ({"name": ""}, "name must be 1 to 63"),
        ({"name": 5}, "name must be 1 to 63"),
        ({"every": None}, "either cron"),
        ({"cron": "0 0 * * *"}, "either cron"),
        ({"every": None, "cron": "0 0 30 2 *"}, "days that exist"),
        ({"every": None, "cron": "soon"}, "five fields"),
        ({"every": None, "cron": "0 0 * * *", "time_zone": "Mars/Olympus"}, "unknown time zone 'Mars/Olympus'"),
        ({"every": None, "cron": 5}, "write text"),
        ({"every": None, "cron": "0 0 * * *", "time_zone": None}, "unknown time zone None"),
        ({"every": "1h", "time_zone": "Europe/Warsaw"}, "has no zone"),
        ({"every": "500ms"}, "between 1 second"),
        ({"every": 10}, "a length of time with its unit"),
        ({"jitter": "2d"}, "at most one day"),
        ({"jitter": 5}, "a length of time with its unit"),
        ({"missed": "never"}, "skip, once or all"),
        ({"most": 0}, "from 1 to 1000"),
        ({"most": 1001}, "from 1 to 1000"),
        ({"most": True}, "from 1 to 1000"),
        ({"context": None}, "no context: give context="),
        ({"context": "acme"}, "no context: give context="),
        ({"job": Purge}, "enqueue an instance"),
        ({"job": Elsewhere()}, "queue 'elsewhere'"),
        ({"job": Key(note="AKIAABCDEFGHIJKLMNOP")}, "looks like a secret"),
    ],
)
def test_a_faulty_entry_says_what_to_write(fault: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        entry_of(entry(**fault), QUEUE)


def test_all_faults_of_all_entries_are_told_at_once() -> None:
    faulty: list[Any] = [
        entry(missed="never", most=0, jitter="2d"),
        entry(name="other", every=None, cron="0 0 31 2 *", time_zone="Mars/Olympus"),
        entry(name="twice"),
        entry(name="twice"),
        entry(name="foreign", job=Key(note="x")),
        "hourly",
    ]
    with pytest.raises(ConfigurationError) as caught:
        App(queue=QUEUE, jobs=[Purge], schedules=faulty)
    for words in (
        "5 fault(s) in the App",
        "skip, once or all",
        "from 1 to 1000",
        "at most one day",
        "days that exist",
        "unknown time zone 'Mars/Olympus'",
        "the schedule 'twice' is named twice",
        "makes the kind 'Key', which jobs=",
        "'hourly' is no Schedule",
    ):
        assert words in str(caught.value)


def test_an_application_without_tenants_says_so_once() -> None:
    made = entry_of(entry(context=None), ONE)
    assert (made["organization_id"], made["user_id"]) == ("all", "cron")


def test_what_an_entry_says_decides_its_definition_and_nothing_else() -> None:
    same = [entry_of(entry(context=Context("acme", "ann")), QUEUE)["definition"] for _ in range(2)]
    assert same[0] == same[1]
    others = {
        entry_of(entry(**change), QUEUE)["definition"]
        for change in (
            {},
            {"job": Purge(days=7)},
            {"every": timedelta(hours=2)},
            {"missed": "skip"},
            {"most": 5},
            {"jitter": "1s"},
            {"context": Context("acme", "bob")},
        )
    }
    assert len(others) == 7
