from __future__ import annotations

import dataclasses
import inspect
import typing
from datetime import date, datetime
from uuid import UUID

import pytest

from domain import events
from domain.listeners import LISTENERS

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
