"""What makes jobs the same, and which policies are refused at import."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgqueue import Debounce, Job, JobContext, Throttle, Unique
from pgqueue.errors import ConfigurationError
from pgqueue.unique import hash_of, key_of

ANYTHING = cast("Any", Unique)  # what a type checker would have refused
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def class_unique_by(*fields: str) -> type[Job]:
    class Publish(Job, unique=Unique(*fields)):
        post_id: int
        note: str = ""

        async def run(self, app: object, ctx: JobContext) -> None:
            """Nothing."""

    return Publish


def test_an_unknown_field_fails_at_import_and_names_the_known_ones() -> None:
    with pytest.raises(TypeError, match="unique by 'post', which is no field of it; its fields: note, post_id"):
        class_unique_by("post_id", "post")


def test_what_is_no_unique_is_refused() -> None:
    with pytest.raises(TypeError, match=r"give Unique\('field'"):

        class Publish(Job, unique="post_id"):
            post_id: int


def test_without_names_all_fields_count() -> None:
    unique = Unique()
    assert unique.hash("K", "o", {"a": 1, "b": 2}) != unique.hash("K", "o", {"a": 1, "b": 3})
    assert Unique("a").hash("K", "o", {"a": 1, "b": 2}) == Unique("a").hash("K", "o", {"a": 1, "b": 3})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a", "b", "c"}, {"c", "b", "a"}),
        (NOON, NOON.astimezone(timezone(timedelta(hours=3)))),
        (Decimal("1.10"), Decimal("1.1")),
        ({"x": 1, "y": [{"p": 1, "q": 2}]}, {"y": [{"q": 2, "p": 1}], "x": 1}),
        (UUID(int=7), UUID("00000000-0000-0000-0000-000000000007")),
    ],
)
def test_equal_values_are_written_in_one_way(one: Any, other: Any) -> None:
    assert key_of({"field": one}) == key_of({"field": other})


parts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)


@given(st.lists(st.tuples(parts, parts, parts), min_size=2, max_size=2, unique=True))
def test_different_parts_never_read_the_same(lists: list[tuple[str, str, str]]) -> None:
    assert hash_of(*lists[0]) != hash_of(*lists[1])


def test_a_key_of_any_length_makes_a_hash_of_32_bytes() -> None:
    assert len(Unique("a").hash("K", "o", {"a": "x" * 10_000})) == 32


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: ANYTHING("a", on_conflict="explode"), "give one of skip, replace, replace_args"),
        (lambda: Unique("a", while_="sometimes"), "write a length of time with its unit"),
        (lambda: Unique("a", while_="0s"), "at least one second"),
        (lambda: Unique("a", while_="1h", on_conflict="replace"), "a period keeps its first job"),
        (lambda: Unique("a", max_wait="5m"), "say replace"),
        (lambda: Debounce("a", wait="30s", max_wait="10s"), "max_wait is shorter than wait"),
        (lambda: cast("Any", Debounce)("a", wait=30), "write a length of time with its unit"),
        (lambda: Throttle("a", every="500ms"), "at least one second"),
        (lambda: ANYTHING(3), "names of fields"),
    ],
)
def test_a_policy_that_means_nothing_is_refused(make: Any, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        make()


def test_named_policies_are_unique_values_with_a_name() -> None:
    debounce = Debounce("b", "a", wait="30s")
    assert repr(debounce) == ("Unique('a', 'b', while_='waiting', on_conflict='replace', wait='30s', max_wait='300s')")
    assert repr(Throttle("a", every="1h")) == "Unique('a', while_='3600s', on_conflict='skip')"
    assert repr(Unique()) == "Unique(while_='live', on_conflict='skip')"


def test_a_policy_is_inherited_from_a_base_class() -> None:
    class Base(Job, abstract=True, unique=Unique("post_id")):
        """Has no such field itself."""

    class Publish(Base):
        post_id: int

        async def run(self, app: object, ctx: JobContext) -> None:
            """Nothing."""

    assert Publish.policy.unique is Base.policy.unique
