from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.models import EmailMessage, IllegalTransition, ScheduledPost, SocialAccount, transition
from domain.models.states import ACCOUNT_MOVES, EMAIL_MOVES, POST_MOVES, AccountStatus, EmailStatus, PostStatus

if TYPE_CHECKING:
    from collections.abc import Mapping
    from enum import StrEnum


@dataclass
class APost:
    """A row without a database."""

    MOVES: ClassVar = POST_MOVES
    status: str = "scheduled"


@given(st.lists(st.sampled_from(sorted(POST_MOVES))))
def test_a_random_walk_never_leaves_the_table(steps: list[str]) -> None:
    row = APost()
    for to in steps:
        before = row.status
        if to in POST_MOVES[before]:
            transition(row, to)
            assert row.status == to
        else:
            with pytest.raises(IllegalTransition, match=f"from {before} to {to}"):
                transition(row, to)
            assert row.status == before


@pytest.mark.parametrize("final", ["published", "canceled"])
def test_a_final_state_is_final(final: str) -> None:
    for to in POST_MOVES:
        with pytest.raises(IllegalTransition, match="it is final"):
            transition(APost(final), to)


@pytest.mark.parametrize(
    ("moves", "known"), [(POST_MOVES, PostStatus), (ACCOUNT_MOVES, AccountStatus), (EMAIL_MOVES, EmailStatus)]
)
def test_the_tables_speak_of_the_known_states_and_of_all_of_them(
    moves: Mapping[str, frozenset[str]], known: type[StrEnum]
) -> None:
    assert set(moves) == {str(state) for state in known}
    assert set().union(*moves.values()) <= set(moves)


def test_every_state_of_a_post_can_be_reached() -> None:
    reached = {"scheduled"}
    while more := set().union(*(POST_MOVES[state] for state in reached)) - reached:
        reached |= more
    assert reached == set(POST_MOVES)


def test_the_models_use_these_tables() -> None:
    assert (ScheduledPost.MOVES, SocialAccount.MOVES, EmailMessage.MOVES) == (POST_MOVES, ACCOUNT_MOVES, EMAIL_MOVES)
