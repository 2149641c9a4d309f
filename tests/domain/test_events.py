from __future__ import annotations

import dataclasses
import inspect
import typing
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from domain import events
from domain.listeners import LISTENERS

if TYPE_CHECKING:
    from tests.domain.world import World

ALL = typing.get_args(events.Event)
# names that a class's annotations may use at run time, as they stand in TYPE_CHECKING blocks
NAMES = {"UUID": UUID, "date": date, "datetime": datetime}
ALLOWED = {UUID, tuple[UUID, ...], str, int, date, datetime}


@pytest.mark.parametrize("event", ALL)
def test_an_event_is_frozen_and_carries_ids_and_numbers_alone(event: type) -> None:
    assert dataclasses.is_dataclass(event)
    assert event.__dataclass_params__.frozen  # type: ignore[attr-defined] # made by the decorator
    assert "__slots__" in vars(event)
    assert set(typing.get_type_hints(event, localns=NAMES).values()) <= ALLOWED


@pytest.mark.parametrize("event", ALL)
def test_an_event_holds_nothing_personal_and_no_text(event: type) -> None:
    words = {name for name, kind in typing.get_type_hints(event, localns=NAMES).items() if kind is str}
    assert words <= {"code", "reason", "metric", "subject_type", "stripe_event_id", "webhook_event_id"}


def test_every_event_is_in_the_union() -> None:
    listed = set(events.__all__) - {"Event", "PublicationEnded"}
    assert {event.__name__ for event in ALL} == listed


@pytest.mark.parametrize("event", LISTENERS)
def test_a_listener_takes_the_event_it_is_listed_under(event: type) -> None:
    for reaction in LISTENERS[event]:
        assert event.__name__ in inspect.get_annotations(reaction)["event"].split(" | ")


def an_event(event: type) -> Any:
    """Make one, with values that nothing in the database stands behind."""
    values: dict[Any, Any] = {
        UUID: uuid4(),
        tuple[UUID, ...]: (uuid4(), uuid4()),
        str: "some",
        int: 1,
        date: date(2026, 11, 2),
        datetime: datetime(2026, 11, 2, tzinfo=UTC),
    }
    hints = typing.get_type_hints(event, localns=NAMES)
    return event(**{name: values[kind] for name, kind in hints.items()})


@pytest.mark.anyio
async def test_listeners_run_inside_the_publishing_transaction(world: World) -> None:
    """Each event's jobs are there within it, on its own connection, and gone with it."""
    jobs = "SELECT kind FROM pgqueue.outbox"
    for event in LISTENERS:
        with pytest.raises(RuntimeError, match="rolled back"):  # noqa: PT012 - the block is the transaction
            async with world.app.units.begin(world.tenant.context) as uow:
                await uow.publish(an_event(event))
                within = (await uow.session.execute(text(jobs))).all()
                assert len(within) >= len(LISTENERS[event]), event
                assert await world.rows(jobs) == [], event  # nobody else sees them
                raise RuntimeError("rolled back")
        assert await world.rows(jobs) == [], event
