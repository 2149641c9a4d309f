"""The databases of the worker's tests, for what guards: breakers and alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pgqueue import Breakers, Settings
from tests.worker.conftest import hall  # noqa: F401 - a fixture is used by its name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.guards.circuits import Make


@pytest.fixture
def make(database_url: str) -> Iterator[Make]:
    """Breakers as different processes have them, on the test's database unless told otherwise."""
    made = []

    def call(url: str | None = database_url, **options: Any) -> Breakers:
        given: dict[str, Any] = {"fail_max": 3, "reset_timeout": "30s"} | options
        made.append(Breakers(Settings(environment={}, database_url=url), **given))
        return made[-1]

    yield call
    for each in made:
        each.close()
