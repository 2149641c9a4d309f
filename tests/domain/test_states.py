from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.models import Base, IllegalTransition, Media, ScanStatus, ScheduledPost, states, transition

if TYPE_CHECKING:
    from domain.models.states import Machines, Moves

STATUSES = {
    name: kind
    for name, kind in vars(states).items()
    if isinstance(kind, type) and issubclass(kind, StrEnum) and kind is not StrEnum
}
TABLES: dict[str, Moves] = {name: moves for name, moves in vars(states).items() if name.endswith("_MOVES")}
# every column that a table of moves rules: "ScheduledPost.status", ...
RULED: dict[str, Moves] = {
    f"{mapper.class_.__name__}.{column}": moves
    for mapper in Base.registry.mappers
    for column, moves in getattr(mapper.class_, "MOVES", {}).items()
}
FINAL = {
    "ORGANIZATION_MOVES": {"deleted"},
    "USER_MOVES": {"anonymized"},
    "DELETION_MOVES": {"canceled", "done"},
    "ACCOUNT_MOVES": {"revoked"},
    "SCAN_MOVES": {"clean", "infected", "rejected"},
    "THUMBNAIL_MOVES": {"ready", "unsupported", "failed"},
    "POST_MOVES": {"published", "canceled"},
    "REMOTE_MEDIA_MOVES": set[str](),
    "SUBSCRIPTION_MOVES": {"incomplete_expired", "canceled"},
    "STRIPE_EVENT_MOVES": {"processed", "ignored"},
    "USAGE_REPORT_MOVES": {"sent", "rejected"},
    "ENDPOINT_MOVES": set[str](),
    "DELIVERY_MOVES": {"delivered", "skipped"},
    "REPORT_MOVES": {"expired"},
    "EMAIL_MOVES": {"sent", "bounced", "suppressed"},
}


class ARow(Protocol):
    """A row without a database."""

    MOVES: ClassVar[Machines]
    status: str


def a_row(moves: Moves, first: str) -> ARow:
    class Row:
        MOVES: ClassVar[Machines] = {"status": moves}
        status = first

    return Row()


@given(st.data())
def test_a_random_walk_never_leaves_the_table(data: st.DataObject) -> None:
    moves = TABLES[data.draw(st.sampled_from(sorted(TABLES)))]
    row = a_row(moves, next(iter(moves)))
    for to in data.draw(st.lists(st.sampled_from(sorted(moves)))):
        before = row.status
        if to in moves[before]:
            transition(row, to)
            assert row.status == to
        else:
            with pytest.raises(IllegalTransition, match=f"from {before} to {to}"):
                transition(row, to)
            assert row.status == before


@pytest.mark.parametrize("name", TABLES)
def test_a_final_state_is_final_and_no_other_is(name: str) -> None:
    moves = TABLES[name]
    assert {state for state in moves if not moves[state]} == FINAL[name]
    for final in FINAL[name]:
        for to in moves:
            with pytest.raises(IllegalTransition, match="it is final"):
                transition(a_row(moves, final), to)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_speaks_of_the_known_states_and_of_all_of_them(name: str) -> None:
    moves = TABLES[name]
    assert set(moves) in [{str(state) for state in kind} for kind in STATUSES.values()]
    assert set().union(*moves.values()) <= set(moves)
    assert all(state not in after for state, after in moves.items())


@pytest.mark.parametrize("name", TABLES)
def test_every_state_can_be_reached_from_the_first(name: str) -> None:
    moves = TABLES[name]
    reached = {next(iter(moves))}
    while more := set().union(*(moves[state] for state in reached)) - reached:
        reached |= more
    assert reached == set(moves)


def test_every_table_rules_one_column_and_every_status_column_has_a_table() -> None:
    assert sorted(map(id, RULED.values())) == sorted(map(id, TABLES.values()))
    statuses = {
        f"{mapper.class_.__name__}.{column.name}"
        for mapper in Base.registry.mappers
        for column in mapper.columns
        if column.name == "status" or column.name.endswith("_status")
    } - {"PublishAttempt.http_status", "WebhookDelivery.last_http_status", "IdempotencyKey.response_status"}
    assert set(RULED) == statuses


def test_a_row_begins_in_the_first_state_of_its_table() -> None:
    for mapper in Base.registry.mappers:
        for column, moves in getattr(mapper.class_, "MOVES", {}).items():
            default = mapper.columns[column].server_default
            if default is not None:  # Stripe says in which state a subscription begins
                assert default.arg == next(iter(moves)), f"{mapper.class_.__name__}.{column}"


def test_a_row_with_two_states_moves_each_by_its_own_table() -> None:
    media = Media(scan_status="pending", thumbnail_status="none")
    transition(media, ScanStatus.CLEAN, column="scan_status")
    transition(media, "failed", column="thumbnail_status")
    assert (media.scan_status, media.thumbnail_status) == ("clean", "failed")
    with pytest.raises(IllegalTransition, match=r"Media\.scan_status cannot go from clean to pending"):
        transition(media, ScanStatus.PENDING, column="scan_status")


def test_an_illegal_move_names_what_is_allowed() -> None:
    with pytest.raises(IllegalTransition, match="cannot go from paused to failed; allowed: canceled, missed, sch"):
        transition(ScheduledPost(status="paused"), "failed")
