"""Every job belongs to an organization, a user and a chain of operations."""

from __future__ import annotations

import threading
from typing import Any
from uuid import UUID

import pytest

from pgqueue import Context, bind, current_context
from pgqueue.errors import InvalidJob, MissingContext


def test_each_context_begins_a_chain_of_its_own() -> None:
    assert Context("o", "u").correlation_id != Context("o", "u").correlation_id


@pytest.mark.parametrize("value", ["", "x" * 65, None, 7, "a\x00b", "a\nb", "\ud800", UUID(int=1)])
@pytest.mark.parametrize("field", ["organization_id", "user_id"])
def test_what_nobody_could_trace_is_refused(field: str, value: Any) -> None:
    with pytest.raises(MissingContext, match=f"context.{field}.*1 to 64"):
        Context(**({"organization_id": "o", "user_id": "u"} | {field: value}))


def test_a_correlation_that_is_no_uuid_is_refused() -> None:
    with pytest.raises(InvalidJob, match="uuid"):
        Context("o", "u", "abc")  # type: ignore[arg-type]  # what somebody might pass


def test_the_longest_names_are_accepted() -> None:
    assert Context("x" * 64, "ü" * 64).user_id == "ü" * 64


def test_a_bound_context_is_current_inside_the_block_and_may_be_nested() -> None:
    outer, inner = Context("o", "u"), Context("p", "v")
    assert current_context() is None
    with bind(outer) as bound:
        assert bound is outer
        with bind(inner):
            assert current_context() is inner
        assert current_context() is outer
    assert current_context() is None


def test_a_bound_context_is_unbound_by_an_error() -> None:
    with pytest.raises(ValueError, match="boom"), bind(Context("o", "u")):
        raise ValueError("boom")
    assert current_context() is None


def test_other_threads_have_contexts_of_their_own() -> None:
    seen = []
    with bind(Context("o", "u")):
        thread = threading.Thread(target=lambda: seen.append(current_context()))
        thread.start()
        thread.join()
    assert seen == [None]
