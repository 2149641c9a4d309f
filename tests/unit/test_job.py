"""Job classes: typed, frozen, and wrong ones fail at import."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from pgqueue import App, Job, JobContext, JobFailed, Queue, QueueSettings, Retry, Settings
from pgqueue.app import kind_of, load_app
from pgqueue.errors import ConfigurationError, UnknownKind, UnknownQueue

METACLASS: Any = type(Job)
QUEUE = Queue(Settings(environment={}))


class Greet(Job, timeout="30s", retry=Retry(2, ["5s"]), use_case="SendGreeting", dispatched_by="SignUp"):
    name: str
    by: UUID | None = None

    async def run(self, app: object, ctx: JobContext) -> None:
        """Nothing."""


def define(name: str = "Sample", bases: tuple[type, ...] = (Job,), /, **keywords: Any) -> type[Job]:
    async def run(self: Job, app: object, ctx: JobContext) -> None:
        """Nothing."""

    made = type(bases[0])(name, bases, {"run": run, "__module__": __name__}, **keywords)
    assert issubclass(made, Job)
    return made


def test_a_silent_job_has_the_documented_defaults() -> None:
    policy = define().policy
    assert (policy.queue, policy.timeout, policy.version) == ("default", None, 1)
    assert policy.retry.max_attempts == 3
    assert (policy.kept_seconds("complete"), policy.max_age) == (3600, timedelta(days=7))
    assert policy.kept_seconds("cancel") == policy.kept_seconds("discard") == 7 * 86_400
    assert policy.retain_dead is None


def test_keywords_are_the_policy() -> None:
    assert Greet.kind == "Greet"
    assert Greet.policy.timeout == timedelta(seconds=30)
    assert Greet.policy.retry.max_attempts == 2
    assert (Greet.policy.use_case, Greet.policy.dispatched_by) == ("SendGreeting", ("SignUp",))


def test_a_base_class_hands_its_policy_on() -> None:
    base = define("Base", queue="high", retry=Retry(5), retain="0s", abstract=True)
    child = define("Child", (base,), retry=Retry(2), kind="child")
    assert (child.policy.queue, child.policy.retry.max_attempts, child.policy.retain) == ("high", 2, timedelta(0))
    assert (child.abstract, child.kind) == (False, "child")


@pytest.mark.parametrize(
    ("keyword", "meant"),
    [("que", "queue"), ("timout", "timeout"), ("retries", "retry"), ("max_ages", "max_age"), ("usecase", "use_case")],
)
def test_a_misspelt_keyword_fails_at_import_with_what_was_meant(keyword: str, meant: str) -> None:
    with pytest.raises(TypeError, match=f"unknown keyword '{keyword}' .did you mean '{meant}'"):
        define(**{keyword: "x"})


@pytest.mark.parametrize(
    "keywords",
    [
        {"timeout": 30},
        {"timeout": "0s"},
        {"timeout": "soon"},
        {"retain": 1},
        {"retain_cancelled": "1"},
        {"retain_discarded": "-1s"},
        {"retain_dead": "0s"},
        {"max_age": "0s"},
        {"max_age": "-1s"},
        {"version": 0},
        {"retry": 3},
        {"retry": {"max_attempts": 3}},
    ],
)
def test_a_policy_that_cannot_work_fails_at_import(keywords: dict[str, Any]) -> None:
    with pytest.raises((ConfigurationError, TypeError), match="Sample's"):
        define(**keywords)


def test_a_child_process_and_its_limits_are_policy() -> None:
    class Heavy(Job, executor="process", memory="512MB", cpu="30s"):
        def run(self, app: object, ctx: object) -> None: ...

    class Heavier(Heavy, memory="1.5GB"):
        """The rest is inherited."""

    assert (Heavy.policy.executor, Heavy.policy.memory, Heavy.policy.cpu) == ("process", 512 * 2**20, timedelta(0, 30))
    assert (Heavier.policy.executor, Heavier.policy.memory) == ("process", 1536 * 2**20)


@pytest.mark.parametrize(
    ("keywords", "told"),
    [
        ({"executor": "fork"}, "executor is 'fork'; write executor=\"process\", or leave it out"),
        ({"executor": "process", "memory": 512}, 'memory is 512; write text with a unit, such as "512MB"'),
        ({"executor": "process", "memory": "512"}, "memory is '512'; write text with a unit"),
        ({"executor": "process", "memory": "1KB"}, "memory is '1KB'; it must lie between 1MB and 1024GB"),
        ({"executor": "process", "memory": "9999GB"}, "must lie between"),
        ({"executor": "process", "cpu": "100ms"}, "cpu is '100ms'; processor time is counted in seconds"),
        ({"executor": "process", "cpu": 3}, "write a length of time with its unit"),
        ({"memory": "512MB"}, 'memory limits a child process; say executor="process" with it'),
        ({"cpu": "3s"}, 'cpu limits a child process; say executor="process" with it'),
    ],
)
def test_limits_that_nothing_could_hold_fail_at_import(keywords: dict[str, Any], told: str) -> None:
    with pytest.raises((TypeError, ConfigurationError), match=re.escape(told)):
        define(**keywords)


def test_endless_retry_fails_at_import() -> None:
    with pytest.raises(ConfigurationError, match="1 to 100"):
        type("Endless", (Job,), {"__module__": __name__}, retry=Retry(max_attempts=10_000))


@pytest.mark.parametrize("name", ["kind", "policy", "run", "on_dead", "upgrade", "abstract"])
@pytest.mark.filterwarnings("ignore:Field name .* shadows")
def test_a_field_named_like_something_of_ours_fails_at_import(name: str) -> None:
    with pytest.raises((TypeError, NameError), match=name):
        METACLASS("Taken", (Job,), {"__module__": __name__, "__annotations__": {name: str}}, abstract=True)


def test_a_job_without_run_fails_at_import() -> None:
    with pytest.raises(TypeError, match="no run"):
        METACLASS("Idle", (Job,), {"__module__": __name__})


def test_a_field_that_would_be_read_by_another_name_fails_at_import() -> None:
    from pydantic import Field

    with pytest.raises(TypeError, match="alias"):
        METACLASS(
            "Aliased",
            (Job,),
            {"__module__": __name__, "__annotations__": {"a": int}, "a": Field(alias="b")},
            abstract=True,
        )


def test_arguments_are_validated_frozen_and_nothing_extra() -> None:
    with pytest.raises(ValidationError):
        Greet(name=["x"])
    with pytest.raises(ValidationError):
        Greet(name="ann", nonsense=1)  # type: ignore[call-arg]  # the fault under test
    with pytest.raises(ValidationError):
        setattr(Greet(name="ann"), "name", "bob")  # noqa: B010 - mypy would refuse the fault under test


# ── the App ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_all_faults_of_an_app_are_told_at_once() -> None:
    twin = define("Twin", kind="Greet")
    lost = define("Lost", queue="nowhere")
    base = define("Base", abstract=True)
    with pytest.raises(ConfigurationError) as caught:
        App(queue=QUEUE, jobs=[Greet, twin, lost, base, object], on_job_failed=[define("Deaf"), Greet(name="x")])  # type: ignore[list-item]  # the faults under test
    for words in (
        "defined twice",
        "'nowhere'",
        "known: default",
        "is a base class",
        "no Job class",
        "Deaf cannot listen",
    ):
        assert words in str(caught.value)


def test_a_listener_is_a_kind_like_others() -> None:
    listener = define("Heard", (JobFailed,))
    app = App(queue=QUEUE, jobs=[Greet], on_job_failed=[listener])  # type: ignore[list-item]  # made at run time
    assert set(app.kinds) == {"Greet", "Heard"}


def test_an_app_without_jobs_is_a_mistake() -> None:
    with pytest.raises(ConfigurationError, match="no jobs"):
        App(queue=QUEUE, jobs=[])


def test_queues_come_by_priority_or_as_named() -> None:
    queues = {"low": QueueSettings(priority="low"), "default": QueueSettings(), "high": QueueSettings(priority="high")}
    app = App(queue=QUEUE, jobs=[Greet], settings=Settings(environment={}, queues=queues))
    assert list(app.queues()) == ["high", "default", "low"]
    assert list(app.queues(["low", "high"])) == ["low", "high"]
    with pytest.raises(UnknownQueue, match=r"'hihg'.*default, high, low"):
        app.queues(["high", "hihg"])


def test_the_timeout_is_the_jobs_own_else_its_queues() -> None:
    app = App(queue=QUEUE, jobs=[Greet, define("Other")])
    assert app.timeout_of(Greet) == 30
    assert app.timeout_of(app.kinds["Other"]) == 90


def test_kinds_describe_themselves_with_units_in_the_keys() -> None:
    assert App(queue=QUEUE, jobs=[Greet]).describe() == [
        {
            "kind": "Greet",
            "queue": "default",
            "timeout_seconds": 30.0,
            "max_attempts": 2,
            "backoff_seconds": [5.0],
            "use_case": "SendGreeting",
            "dispatched_by": ["SignUp"],
            "idempotency": None,
        }
    ]


def test_a_kind_says_why_it_may_run_twice_if_the_app_wants_to_know() -> None:
    said = define("Said", idempotency="lock")
    [kind] = App(queue=QUEUE, jobs=[said], idempotency_required=True).describe()
    assert kind["idempotency"] == "lock"
    with pytest.raises(ConfigurationError, match=r"Greet does not say why it may run twice; give it idempotency= one"):
        App(queue=QUEUE, jobs=[said, Greet], idempotency_required=True)


def test_a_way_to_run_twice_that_nobody_knows_fails_at_import() -> None:
    with pytest.raises(TypeError, match=r"idempotency is 'luck'; give one of 'state check', 'lock', 'key', 'transac"):
        define(idempotency="luck")


def test_an_unknown_kind_is_told_with_the_known_ones() -> None:
    with pytest.raises(UnknownKind, match=r"'Gret'.*Greet"):
        kind_of(App(queue=QUEUE, jobs=[Greet]), "Gret")


APP = App(queue=QUEUE, jobs=[Greet])


def make() -> App:
    return APP


NOT_AN_APP = 17


def test_an_app_is_loaded_from_its_path_or_made_by_a_factory() -> None:
    import sys

    sys.modules.setdefault("pgqueue_test_apps", sys.modules[__name__])
    assert load_app("pgqueue_test_apps:APP") is APP
    assert load_app("pgqueue_test_apps:make") is APP
    for path, words in {
        "pgqueue_test_apps": "module:attribute",
        "no.such.module:app": "no module 'no'",
        "pgqueue_test_apps:nothing": "has no 'nothing'",
        "pgqueue_test_apps:NOT_AN_APP": "is a int",
    }.items():
        with pytest.raises(ConfigurationError, match=words):
            load_app(path)


def test_a_handle_may_be_named_and_is_imported_by_who_opens_it() -> None:
    import sys

    sys.modules.setdefault("pgqueue_test_apps", sys.modules[__name__])
    named = App(queue=QUEUE, jobs=[Greet], handle="pgqueue_test_apps:make")
    assert (named.handle, named.load_handle(), named.handle) == ("pgqueue_test_apps:make", make, make)
    for path, words in {
        "nowhere": "the App's handle is 'nowhere'; write module:attribute",
        "no.such:x": "no module",
    }.items():
        with pytest.raises(ConfigurationError, match=words):
            App(queue=QUEUE, jobs=[Greet], handle=path).load_handle()


@pytest.mark.parametrize("name", ["run", "on_dead"])
def test_a_method_with_a_yield_would_do_nothing_and_is_refused(name: str) -> None:
    def generator(self: Job, *_: object) -> Any:
        yield

    async def async_generator(self: Job, *_: object) -> Any:
        yield

    async def run(self: Job, app: object, ctx: JobContext) -> None:
        """Nothing."""

    for method in (generator, async_generator):
        with pytest.raises(TypeError, match=f"Lazy.{name} has a `yield`.*take the `yield` out"):
            METACLASS("Lazy", (Job,), {"run": run, "__module__": __name__, name: method})
