from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from domain.gateways.linkedin import escaped
from domain.gateways.richtext import facets, graphemes
from domain.gateways.tids import tid

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.trap("captions with every nastiness of Unicode")
@pytest.mark.parametrize(
    ("text", "count"),
    [("", 0), ("pão", 3), ("pa\u0303o", 3), ("👩‍👩‍👧‍👦🇧🇷", 2), ("e\u0301\u0323", 1), ("\r\n", 1), ("नमस्ते", 3)],
)
def test_what_a_reader_takes_for_one_character_counts_as_one(text: str, count: int) -> None:
    assert graphemes(text) == count


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("veja https://aurora.example/pão.", ["https://aurora.example/pão"]),
        ("👩‍👩‍👧‍👦 #padaria e #pão!", ["#padaria", "#pão"]),
        ("(https://a.example/x?y=1#z)", ["https://a.example/x?y=1#z"]),
        ("#1 e #", []),
        ("a#b mail@x.example/#c", []),
        ("sem nada", []),
    ],
)
def test_links_and_tags_are_marked_by_the_bytes_they_take(text: str, marked: list[str]) -> None:
    raw = text.encode()
    found = [raw[each["index"]["byteStart"] : each["index"]["byteEnd"]].decode() for each in facets(text)]
    assert found == marked


def test_record_keys_sort_by_time_and_tell_writers_apart() -> None:
    keys = [tid(NOW + timedelta(microseconds=step), 1023) for step in range(3)] + [tid(NOW + timedelta(days=9999), 0)]
    assert keys == sorted(keys)
    assert all(re.fullmatch("[234567a-j][2-7a-z]{12}", key) for key in keys)
    assert tid(NOW, 1) != tid(NOW, 2)


def test_marks_of_the_text_format_are_escaped() -> None:
    assert escaped("(novo) #pão @ana_b \\ <x>") == "\\(novo\\) \\#pão \\@ana\\_b \\\\ \\<x\\>"
