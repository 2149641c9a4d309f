from __future__ import annotations

import time

from domain.models import new_id


def test_identifiers_are_uuids_of_version_7_and_grow_with_time() -> None:
    before = time.time_ns() // 1_000_000
    ids = [new_id() for _ in range(1_000)]
    after = time.time_ns() // 1_000_000
    assert len(set(ids)) == 1_000
    assert {(found.version, found.variant) for found in ids} == {(7, "specified in RFC 4122")}
    moments = [found.int >> 80 for found in ids]
    assert moments == sorted(moments)
    assert before <= moments[0] <= moments[-1] <= after
