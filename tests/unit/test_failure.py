"""Any exception becomes text that PostgreSQL stores, whatever the exception does."""

from __future__ import annotations

import pytest

from pgqueue.failure import MOST_ERROR, MOST_TRACEBACK, describe


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even this")


class Recursive(Exception):
    def __str__(self) -> str:
        return str(self)


class NoText(Exception):
    def __str__(self) -> str:
        return 17  # type: ignore[return-value]  # noqa: PLE0307 - the fault under test


class Leaving(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


def chained(length: int) -> BaseException:
    error: BaseException = ValueError("the first")
    for number in range(length):
        following = ValueError(f"number {number}")
        following.__cause__ = error
        error = following
    return error


def cyclic() -> BaseException:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    return one


def deep() -> BaseException:
    def fall(depth: int) -> None:
        fall(depth + 1)

    try:
        fall(0)
    except RecursionError as error:
        return error
    raise AssertionError


@pytest.mark.parametrize(
    "error",
    [
        Unprintable(),
        Recursive(),
        NoText(),
        Leaving(),
        ValueError("x" * 1_000_000),
        ValueError("a\x00b\ud800c"),
        ValueError(),
        chained(50),
        cyclic(),
        deep(),
        ExceptionGroup("many", [ValueError(str(number)) for number in range(500)]),
        KeyboardInterrupt(),
        type("N" * 5000, (Exception,), {})("long name"),
    ],
    ids=lambda error: type(error).__name__[:20].encode("ascii", "replace").decode(),
)
def test_every_exception_can_be_stored(error: BaseException) -> None:
    failure = describe(error)
    for text, most in ((failure.type, 200), (failure.error, MOST_ERROR), (failure.trace, MOST_TRACEBACK)):
        assert "\x00" not in text
        assert len(text.encode("utf-8")) <= most * 6 + 100
    assert failure.type
    assert failure.fingerprint("K")


def test_the_text_says_what_happened() -> None:
    assert describe(ValueError("boom")).error == "boom"
    assert describe(ValueError("a\x00b\ud800c")).error == r"a\x00b\ud800c"
    assert "RuntimeError" in describe(Unprintable()).error


def test_a_huge_text_is_cut_with_a_mark() -> None:
    error = describe(ValueError("x" * 1_000_000)).error
    assert len(error) == MOST_ERROR
    assert error.endswith("…")


def test_causes_are_shown() -> None:
    assert "the first" in describe(chained(3)).trace


def test_a_type_with_a_strange_name_is_storable() -> None:
    strange = type("Strange", (Exception,), {})
    strange.__qualname__ = "a\x00b" + "c" * 300
    name = describe(strange("boom")).type
    assert name.startswith("a\\x00bccc")
    assert name.endswith("c…")
