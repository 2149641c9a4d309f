"""Tests of the application, in a transaction that is rolled back."""

import pytest
from shop import AskForReview, ShipOrder, place_order
from sqlalchemy import text
from sqlalchemy.orm import Session

from pgqueue.testing import QueueTester


def state_of(session: Session, order_id: int) -> str | None:
    return session.scalar(text("SELECT state FROM orders WHERE id = :id"), {"id": order_id})


def test_an_order_is_shipped(session: Session, queue_tester: QueueTester) -> None:
    place_order(session, 7)
    queue_tester.assert_enqueued(ShipOrder, {"order_id": 7}, count=1)
    queue_tester.refute_enqueued(AskForReview)

    assert queue_tester.drain().completed == 1
    assert state_of(session, 7) == "shipped"
    queue_tester.assert_enqueued(AskForReview, {"order_id": 7}, run_in="7d")


def test_a_week_later_a_review_is_asked_for(session: Session, queue_tester: QueueTester) -> None:
    place_order(session, 7)
    queue_tester.drain()
    queue_tester.advance("7d")
    assert queue_tester.drain().completed == 1
    assert state_of(session, 7) == "reviewed"


def test_an_order_is_shipped_once_whatever_happens(session: Session, queue_tester: QueueTester) -> None:
    place_order(session, 7)
    with (
        queue_tester.crash_after_claim(ShipOrder),
        queue_tester.lose_lease(ShipOrder),
        queue_tester.fail(ShipOrder, times=1),
    ):
        drained = queue_tester.drain(with_scheduled=True, raise_errors=False)
    assert [run.moment for run in drained.runs] == ["crash", "lost", "complete", "complete"]
    assert state_of(session, 7) == "reviewed"


def test_an_order_is_shipped_at_once(session: Session, queue_tester: QueueTester) -> None:
    with queue_tester.inline():
        place_order(session, 7)
        assert state_of(session, 7) == "shipped"


def test_the_last_attempt_is_the_last(queue_tester: QueueTester) -> None:
    with queue_tester.fail(ShipOrder, times=2):
        assert queue_tester.perform(ShipOrder(order_id=7), attempt=1).wait == 60
        assert queue_tester.perform(ShipOrder(order_id=7), attempt=3).moment == "bury"


def test_a_failure_shows_what_is_enqueued(session: Session, queue_tester: QueueTester) -> None:
    place_order(session, 7)
    with pytest.raises(AssertionError, match="order_id is 7, not 8"):
        queue_tester.assert_enqueued(ShipOrder, {"order_id": 8})
