"""Limits and rates as classes say them; wrong ones fail at import."""

from __future__ import annotations

from typing import Any

import pytest

from pgqueue import Context, Limit, Rate
from pgqueue.errors import ConfigurationError, InvalidJob
from pgqueue.limit import elements
from tests.unit.test_job import define


def test_a_limit_is_part_of_the_policy_and_names_its_keys() -> None:
    job = define("Mail", limit=Limit("organization_id", running=5))
    (limit,) = job.policy.limit
    context = Context("acme", "ann")
    assert limit.name_for("Mail") == "Mail.organization_id"
    assert limit.element("Mail", context, {}) == "5 Mail.organization_id=acme"
    assert Limit(running=2, name="provider").element("Mail", context, {}) == "2 provider"
    assert Limit("to", running=2).element("Mail", context, {"to": None}) is None


@pytest.mark.parametrize("running", [0, -1, 1_000_001, 2.5, True, None])
def test_a_limit_of_nothing_is_refused(running: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"give 1 to 1,000,000 .*pgqueue queues pause"):
        Limit(running=running)


@pytest.mark.parametrize(("given", "says"), [({"key": "a b"}, "name a field"), ({"name": "a=b"}, "letters, digits")])
def test_a_limit_with_an_impossible_name_is_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        Limit(running=1, **given)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"limit": 5}, "give Limit"),
        ({"limit": [Limit(running=1, name=n) for n in "abcd"]}, "at most 3"),
        ({"limit": [Limit(running=1), Limit(running=2)]}, "the same limit twice"),
        ({"limit": Limit("nothing", running=1)}, "no field; known: organization_id, user_id"),
        ({"cost": 0}, "give 1 to 1000"),
        ({"cost": 1.5}, "give 1 to 1000"),
    ],
)
def test_wrong_limits_and_costs_fail_at_import(given: dict[str, Any], says: str) -> None:
    with pytest.raises(TypeError, match=says):
        define(**given)


def test_a_key_of_ten_thousand_characters_is_refused() -> None:
    with pytest.raises(InvalidJob, match=r"has 10,000 characters, more than 200; limit by a shorter field"):
        Limit("to", running=1).element("Mail", Context("acme", "ann"), {"to": "x" * 10_000})


def test_two_limits_of_one_name_that_meet_in_one_key_count_it_once() -> None:
    pair = (Limit("a", running=1, name="mail"), Limit("b", running=2, name="mail"))
    assert elements(pair, "K", Context("org", "user"), {"a": 7, "b": 7}) == ["1 mail=7"]
    assert elements(pair, "K", Context("org", "user"), {"a": 7, "b": 8}) == ["1 mail=7", "2 mail=8"]


def test_a_base_class_may_limit_by_a_field_of_its_subclasses() -> None:
    base = define(limit=Limit("account_id", running=1), abstract=True)
    with pytest.raises(TypeError, match="account_id"):
        define("Other", (base,))


def test_a_rate_says_what_it_allows_and_what_a_job_weighs() -> None:
    context = Context("acme", "ann")
    rate = Rate("organization_id", count=60, per="1m", burst=5, weight="pages", name="api")
    assert rate.element("Mail", context, {"pages": 3}) == "60/60000000/5/3 rate:api=acme"
    assert Rate(count=1000, per="1s").spec == "1000/1000000/1000"
    assert Rate(count=1, per="1h").burst == 1
    with pytest.raises(InvalidJob, match=r"Mail.pages is 0, and the weight of its rate"):
        rate.element("Mail", context, {"pages": 0})
    assert define(limit=[Rate(count=1, per="1s"), Limit(running=1)]).policy.limit[0].name_for("Mail") == "Mail"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"count": 0}, "count=0"),
        ({"per": "0s"}, "the fastest"),
        ({"per": 60}, "write a length of time with its unit"),
        ({"burst": 0}, "burst=0"),
        ({"burst": 2, "weight": 3}, r"give 1 to its burst \(2\)"),
        ({"weight": 0}, "weight=0"),
    ],
)
def test_a_rate_that_cannot_be_is_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        Rate(**{"count": 1, "per": "1s", **given})


def test_a_priority_is_a_word() -> None:
    assert define(priority="high").policy.priority == "high"
    assert define().policy.priority == "normal"
    with pytest.raises(InvalidJob, match="priority is 'urgent'; give one of 'high', 'low', 'normal'"):
        define(priority="urgent")
