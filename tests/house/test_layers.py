"""The layers of the application keep to themselves, and each rule is broken on purpose to see that it is one."""

from __future__ import annotations

import ast
import re
import textwrap
from typing import TYPE_CHECKING

import pytest

from tests.house import layers
from tests.house.source import ROOT, Module, modules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def a_module(name: str, text: str) -> Module:
    text = textwrap.dedent(text)
    return Module(ROOT / name, text, ast.parse(text))


@pytest.mark.parametrize("rule", layers.RULES, ids=lambda rule: rule.__name__)
def test_the_rule_holds(rule: Callable[[Module], Iterator[layers.Broken]]) -> None:
    assert [f"{module.name}:{line} {what}" for module in modules("domain") for line, what in rule(module)] == []


# A module that breaks a rule; its lines that break it end with the words that name them.
BROKEN = [
    (
        layers.jobs_are_made_by_use_cases_and_listeners,
        "domain/http/routes/posts.py",
        """
        async def publish(app, post_id):
            job = ProcessScheduledPostJob(scheduled_post_id=post_id)  #! ProcessScheduledPostJob is made here
            await app.queue.enqueue(app.session, job)  #! enqueue is called here
            await app.units.dispatch(job)  #! dispatch is called here
            return await app.publishing.schedule_post(post_id)
        """,
    ),
    (
        layers.use_cases_dispatch_through_their_unit_of_work,
        "domain/use_cases/scheduling.py",
        """
        async def schedule(self, uow):
            await uow.dispatch(ProcessScheduledPostJob())
            await self.units.queue.enqueue(uow.session, ProcessScheduledPostJob())  #! self.units.queue.enqueue goes
        """,
    ),
    (
        layers.a_job_is_one_call_into_a_use_case,
        "domain/jobs/publishing.py",
        """
        class ProcessScheduledPostJob(Job):
            async def run(self, app, ctx):  #! run is more than one call
                if self.scheduled_post_id is None:
                    return None
                return await app.publishing.publish(ctx, self.scheduled_post_id)

        class Composed(Job):
            async def run(self, app, ctx):  #! run is more than one call
                return await app.publishing.publish(ctx, self.scheduled_post_id or self.other_id)

        class Wrapped(Job):
            async def run(self, app, ctx):  #! run is more than one call
                return await self.find(await app.publishing.publish(ctx))

            def find(self, post):  #! find is more than one call
                return post

        class Right(Job):
            async def run(self, app, ctx):
                return await app.publishing.publish(ctx, self.scheduled_post_id)
        """,
    ),
    (
        layers.a_listener_only_dispatches,
        "domain/listeners/publishing.py",
        """
        async def tell(uow, event):
            await uow.dispatch(NotifyPublishResultJob())
            await _more(uow, event)
            await uow.session.flush()  #! a listener has nothing to do with .session  #! uow.session.flush is awaited
            asyncio.create_task(_more(uow, event))  #! create_task leaves the transaction
            async with uow.units.begin() as own:  #! a listener has nothing to do with .begin
                await own.publish(event)  #! own.publish is awaited

        async def _more(uow, event):
            await uow.dispatch(NotifyPublishResultJob())
        """,
    ),
    (
        layers.outside_calls_are_under_a_breaker,
        "domain/gateways/mastodon.py",
        """
        import asyncio
        import aiosmtplib
        import httpx
        import obstore
        import stripe
        from urllib.request import urlopen

        class Gateway:
            def __init__(self, http: httpx.AsyncClient, breakers: Breakers) -> None:
                self._http = http
                self._breakers = breakers
                self._client = stripe.StripeClient("key")

            async def right(self, url):
                with self._breakers.calling("mastodon", url):
                    await self._http.get(url)
                    await self._private(url)
                await self._step(lambda: obstore.get(self._store, url))
                call = self._client.v1.events.list_async({})
                await self._call(call)

            async def _private(self, url):
                await self._http.post(url)

            async def _step(self, call):
                with self._breakers.calling("storage", "here"):
                    return await asyncio.to_thread(call)

            async def _call(self, call):
                with self._breakers.calling("stripe", "there"):
                    return await call

            async def wrong(self, url):
                await self._http.get(url)  #! self._http.get leaves the process under no breaker
                await asyncio.to_thread(obstore.get, self._store, url)  #! obstore.get leaves
                await self._client.v1.events.list_async({})  #! self._client.v1.events.list_async leaves
                await asyncio.open_connection("host", 80)  #! asyncio.open_connection leaves
                urlopen(url)  #! urlopen leaves
                async with aiosmtplib.SMTP() as server:
                    await server.send_message("x")  #! server.send_message leaves
                await self._sometimes(url)
                with self._breakers.calling("mastodon", url):
                    await self._sometimes(url)

            async def _sometimes(self, url):
                await self._http.put(url)  #! self._http.put leaves
        """,
    ),
]


@pytest.mark.parametrize(("rule", "name", "text"), BROKEN, ids=lambda value: getattr(value, "__name__", ""))
def test_who_breaks_the_rule_is_named_with_the_line(
    rule: Callable[[Module], Iterator[layers.Broken]], name: str, text: str
) -> None:
    module = a_module(name, text)
    expected = [
        (number, words.strip())
        for number, line in enumerate(module.text.splitlines(), 1)
        for words in line.split("#!")[1:]
    ]
    found = sorted(rule(module))
    assert len(found) == len(expected)
    for (line, what), (number, words) in zip(found, sorted(expected), strict=True):
        assert line == number
        assert re.match(re.escape(words), what), (what, words)


def test_every_rule_is_broken_once() -> None:
    assert {rule for rule, _, _ in BROKEN} == set(layers.RULES)
