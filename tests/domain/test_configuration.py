"""The configuration file says what the job architecture document says, and nothing else does."""

from __future__ import annotations

import re
from datetime import timedelta

from domain.app import app
from domain.settings import CONFIGURATION, settings
from tests.docs.pages import ROOT

PRIORITIES = {"Alta": "high", "Normal": "normal", "Baixa": "low"}


def test_the_queues_are_those_of_the_document() -> None:
    text = (ROOT / "docs/source/job-architecture.pt.md").read_text("utf-8")
    rows = re.findall(r"^\| `([a-z-]+)` \| (Alta|Normal|Baixa) \| (\d+) \| (\d+)s \|$", text, re.MULTILINE)
    document = {
        name: (PRIORITIES[priority], int(workers), timedelta(seconds=int(timeout)))
        for name, priority, workers, timeout in rows
    }
    assert len(document) == 7
    assert document == {
        name: (queue.priority, queue.workers, queue.timeout) for name, queue in settings().queues.items()
    }


def test_the_application_reads_them_from_the_file() -> None:
    assert app.settings.source_of(("queues", "publishing", "workers")) == str(CONFIGURATION)
    assert list(app.queues())[:2] == ["publishing", "high"]
    assert list(app.queues())[-1] == "low"
