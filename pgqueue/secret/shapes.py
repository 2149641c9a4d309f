"""Shapes of secrets: what keys of well-known services, headers, addresses and error texts look like.

Every pattern is bounded, so that the time grows with the length of the text and not faster.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Shape(NamedTuple):
    """A pattern that is only tried where its ``hint`` stands: a plain search for a few letters costs almost nothing."""

    hint: str
    pattern: re.Pattern[str]
    """Its first group, if there is one, is the secret; else all of it."""


def _token(start: str, rest: str) -> Shape:
    """Make a shape that begins with ``start``, not in the middle of a word."""
    return Shape(start, re.compile(f"{start}(?<![0-9A-Za-z]{start})(?:{rest})"))


# In groups by a character that each of a group needs, so that most texts are done after a few looks.
GROUPS: tuple[tuple[str, tuple[Shape, ...]], ...] = (
    (
        "_",
        (
            _token("sk_", r"(?:live|test)_\w{8,255}"),
            _token("rk_", r"(?:live|test)_\w{8,255}"),
            _token("pk_", r"(?:live|test)_\w{8,255}"),
            _token("whsec_", r"[\w+/=]{16,255}"),
            _token("gh", r"[pousr]_\w{20,255}"),
            _token("github_pat_", r"\w{20,255}"),
            _token("npm_", r"[0-9A-Za-z]{36}"),
            _token("hf_", r"[0-9A-Za-z]{30,64}"),
            _token("shp", r"(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"),
        ),
    ),
    (
        "-",
        (
            _token("gl", r"(?:pat|ptt|dt|rt|ft|soat|cbt)-[\w-]{20,255}"),
            _token("xox", r"[abeoprs]-[\w-]{5,255}"),
            _token("xapp-", r"[\w-]{20,255}"),
            _token("GOCSPX-", r"[\w-]{20,255}"),
            _token("sk-", r"(?:proj|ant|svcacct|admin)-[\w-]{20,255}|[0-9A-Za-z]{32,255}"),
            _token("pypi-", r"[\w-]{50,512}"),
            Shape(
                " PRIVATE KEY",
                re.compile(
                    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----[^-]{0,16384}"
                    r"(?:-----END [A-Z0-9 ]{0,40}-----)?"
                ),
            ),
        ),
    ),
    (
        ".",
        (
            _token("eyJ", r"[\w-]{8,4096}\.[\w-]{8,8192}\.[\w-]{0,2048}"),
            _token("ya29", r"\.[\w-]{20,1024}"),
            _token("SG", r"\.[\w-]{16,64}\.[\w-]{16,128}"),
            _token("hvs", r"\.[\w-]{20,255}"),
            Shape("hooks.slack.com/", re.compile(r"hooks\.slack\.com/services/([\w/-]{20,128})")),
        ),
    ),
    ("://", (Shape("@", re.compile(r"://[^\s/:@?#]{0,256}:(?!\*\*\*@)([^\s/?#]{1,1024})@")),)),
    (
        "=",
        (
            Shape("token=", re.compile(r"token=([^\s&;,'\"<>]{8,4096})")),
            Shape("key=", re.compile(r"key=(?<=(?:.api|api_|ret_|ate_)key=)([^\s&;,'\"<>]{8,4096})")),
            Shape("secret=", re.compile(r"secret=([^\s&;,'\"<>]{8,4096})")),
            Shape("passw", re.compile(r"passw(?:or)?d=(?!\*\*\*)([^\s&;,'\"<>]{3,4096})")),
        ),
    ),
    (
        "A",
        (
            _token("AKIA", r"[0-9A-Z]{16}(?![0-9A-Za-z])"),
            _token("ASIA", r"[0-9A-Z]{16}(?![0-9A-Za-z])"),
            _token("AIza", r"[\w-]{35}"),
        ),
    ),
    ("earer", (Shape("earer ", re.compile(r"earer[ \t]{1,4}((?=[^\s]{0,64}[0-9])[\w.~+/=-]{16,8192})")),)),
)
BASIC = Shape("asic ", re.compile(r"asic[ \t]{1,4}([0-9A-Za-z+/]{6,1024}={0,2})"))


def _assigned(name: str) -> Shape:
    """Make a shape of ``name: value``, looked for in lower case."""
    value = r"(?:(?:basic|bearer|token)[ \t]{1,4})?[^\s&'\",;)}\]]{1,4096}"
    return Shape(name, re.compile(rf"{name}[\"']?\s{{0,2}}[:=]\s{{0,2}}[\"']?({value})"))


# Only masked: harmless in arguments, or too common in sentences to be refused.
ASSIGNED = tuple(
    _assigned(name)
    for name in (
        *("password", "passwd", "pwd", "passphrase", "secret", "token", "authorization", "cookie"),
        *("api_key", "apikey", "api-key", "secret_key", "private_key"),
    )
)
SHOWN = (
    Shape("X-Amz-", re.compile(r"X-Amz-(?:Signature|Credential|Security-Token)=([^\s&'\"<>]{3,4096})")),
    Shape("ignature=", re.compile(r"ignature=([^\s&'\"<>]{3,4096})")),
    Shape("sig=", re.compile(r"sig=(?<=[?&]sig=)([^\s&'\"<>]{3,4096})")),
    Shape("code=", re.compile(r"code=(?<=[?&]code=)([^\s&'\"<>]{3,4096})")),
    Shape(
        "input_value=", re.compile(r"input_value=([^\n]{1,200}?), input_type=")
    ),  # pydantic repeats what it was given
    Shape("[parameters: ", re.compile(r"\[parameters: ([^\n]{1,4096})")),  # so does SQLAlchemy
    Shape("invalid input ", re.compile(r'invalid input (?:syntax|value) for [^:\n]{1,100}: "([^\n]{1,4096})"')),
    Shape("Failing row", re.compile(r"Failing row contains ([^\n]{1,4096})")),  # so does PostgreSQL
)
