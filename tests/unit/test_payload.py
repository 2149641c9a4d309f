"""Arguments: what cannot be stored is told before PostgreSQL would refuse it, with the path to the culprit."""

from __future__ import annotations

import enum
import json
from collections import deque
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr

from pgqueue.errors import InvalidJob, SecretInArguments
from pgqueue.payload import encode


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


class Colour(enum.Enum):
    RED = "red"


def test_arguments_come_back_as_they_were() -> None:
    args = {
        "id": UUID(int=3),
        "text": "zażółć 🙂",
        "n": 2**70,
        "f": 0.1,
        "none": None,
        "list": [1, {"a": (2, 3)}],
        "c": Colour.RED,
    }
    assert json.loads(encode("K", args)) == {
        "id": str(UUID(int=3)),
        "text": "zażółć 🙂",
        "n": 2**70,
        "f": 0.1,
        "none": None,
        "list": [1, {"a": [2, 3]}],
        "c": "red",
    }


@pytest.mark.parametrize(
    ("args", "path"),
    [
        ({"text": "a\x00b"}, "K.text"),
        ({"a": {"b": ["x", "\x00"]}}, r"K.a.b\[1\]"),
        ({"a": {"k\x00": 1}}, "K.a.k"),
        ({"raw": b"a\x00"}, "K"),
    ],
)
def test_nul_bytes_are_refused(args: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidJob, match=f"{path}.* NUL"):
        encode("K", args)


def test_text_that_only_shows_a_nul_is_harmless() -> None:
    assert json.loads(encode("K", {"text": "\\u0000"})) == {"text": "\\u0000"}


@pytest.mark.parametrize("args", [{"text": "\ud800"}, {"\udfff": 1}, {"list": ["ok", "\ud800x"]}])
def test_lone_surrogates_are_refused(args: dict[str, Any]) -> None:
    with pytest.raises(InvalidJob, match="lone surrogate"):
        encode("K", args)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: [v], lambda v: {"a": v}, lambda v: deque([v])])
def test_numbers_that_json_does_not_have_are_refused(value: float, wrap: Any) -> None:
    with pytest.raises(InvalidJob, match=r"no such number"):
        encode("K", {"x": wrap(value)})


def test_words_that_look_like_such_numbers_are_harmless() -> None:
    assert json.loads(encode("K", {"text": "NaN, Infinity"})) == {"text": "NaN, Infinity"}


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(InvalidJob, match="K"):
        encode("K", {"raw": b"\xff\xfe"})


def test_what_json_cannot_say_is_refused() -> None:
    with pytest.raises(InvalidJob, match="K"):
        encode("K", {"thing": object()})


def test_the_size_is_counted_in_bytes() -> None:
    assert encode("K", {"text": "x" * 262_000})
    with pytest.raises(InvalidJob, match=r"262,144.*object store"):
        encode("K", {"text": "x" * 262_144})
    with pytest.raises(InvalidJob, match="262,144"):
        encode("K", {"text": "é" * 140_000})


def test_nesting_is_bounded() -> None:
    assert encode("K", {"deep": nested(63)})
    with pytest.raises(InvalidJob, match="deeper than 64"):
        encode("K", {"deep": nested(64)})
    with pytest.raises(InvalidJob, match="deeper than 64"):
        encode("K", {"deep": nested(900)})


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "api_key",
        "apikey",
        "ACCESS_TOKEN",
        "refresh_tokens",
        "client_secret",
        "authorization",
        "accessToken",
        "apiKey",
    ],
)
@pytest.mark.parametrize("value", ["harmless", 17, ["x"]])
def test_names_that_look_like_secrets_are_refused(name: str, value: object) -> None:
    with pytest.raises(SecretInArguments, match=f"K.{name}"):
        encode("K", {name: value})
    with pytest.raises(SecretInArguments):
        encode("K", {"outer": [{name: value}]})


# put together here, so that nobody's scanner takes them for real ones
@pytest.mark.parametrize(
    "value",
    [
        "sk_" + "live_" + "a1b2c3d4e5",
        "ghp_" + "a" * 36,
        "github_pat_" + "a" * 20,
        "AKIA" + "ABCDEFGHIJKLMNOP",
        "xoxb-" + "12345",
        "eyJhbGciOiJI" + ".eyJzdWIiOiIx" + ".sig",
        "-----BEGIN " + "RSA PRIVATE KEY-----",
        "https://user:" + "hunter2@example.org/",
    ],
)
def test_values_that_look_like_secrets_are_refused(value: str) -> None:
    with pytest.raises(SecretInArguments, match=r"K.note"):
        encode("K", {"note": value})


def test_a_secret_is_never_repeated_in_the_error() -> None:
    with pytest.raises(SecretInArguments) as caught:
        encode("K", {"password": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_a_hidden_value_would_arrive_as_stars_and_is_refused() -> None:
    with pytest.raises(SecretInArguments, match=r"K.note"):
        encode("K", {"note": SecretStr("x")})


@pytest.mark.parametrize(
    "name", ["token_id", "secret_version", "password_hash", "tokenizer", "secretary", "cookie_policy"]
)
def test_names_that_only_contain_the_word_are_harmless(name: str) -> None:
    assert encode("K", {name: "x"})


def test_a_uuid_is_no_secret_whatever_its_name() -> None:
    assert encode("K", {"token": UUID(int=1)})


def test_fields_marked_safe_are_exempt() -> None:
    assert encode("K", {"max_tokens": 5, "note": "sk_" + "live_" + "a1b2c3d4e5"}, safe=("max_tokens", "note"))
    with pytest.raises(SecretInArguments):
        encode("K", {"max_tokens": 5, "password": "x"}, safe=("max_tokens",))
