"""Each of the 23 kinds runs again, when it is complete and from the dead letters, and nothing is other than after once.

Everything that can be seen is compared, whole: all rows of all tables of the domain with their times, all objects, all
that the stand-ins have and were asked. A kind without a scene fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from domain.jobs import JOBS
from tests.domain.again import again_from_the_dead, run_again
from tests.domain.scenes import customers, people, posts
from tests.domain.scenes.stage import Stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.domain.world import World

SCENES = posts.SCENES | customers.SCENES | people.SCENES


@pytest.fixture
async def stage(world: World, tmp_path: Path) -> AsyncIterator[Stage]:
    made = Stage(world, tmp_path / "objects")
    async with made.doors:
        yield made


@pytest.mark.anyio
@pytest.mark.parametrize("kind", [job.kind for job in JOBS])
async def test_running_again_is_running_once(stage: Stage, kind: str) -> None:
    await run_twice(stage, kind)


@pytest.mark.anyio
async def test_a_use_case_that_does_not_look_is_found_out(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def always(*_: object) -> bool:
        return True

    monkeypatch.setattr("domain.use_cases.analytics.posts._wanted", always)
    with pytest.raises(AssertionError, match=r"'calls': "):
        await run_twice(stage, "SyncPostMetricsJob")


async def run_twice(stage: Stage, kind: str) -> None:
    assert kind in SCENES, f"{kind} has no scene: write one in tests/domain/scenes"
    await SCENES[kind](stage)
    states = {state for state, _ in await stage.world.jobs(kind)}
    assert states & {"completed", "discarded"}, states
    once = await stage.look()
    await run_again(stage.world, kind)
    again = await stage.look()
    assert changed(once, again) == {}
    await again_from_the_dead(stage.world, kind)
    assert changed(once, await stage.look()) == {}


def changed(before: dict[str, object], after: dict[str, object]) -> dict[str, tuple[object, object]]:
    return {name: (before[name], after[name]) for name in before if after[name] != before[name]}


def test_there_is_a_scene_for_each_kind_and_no_other() -> None:
    assert set(SCENES) == {job.kind for job in JOBS}
