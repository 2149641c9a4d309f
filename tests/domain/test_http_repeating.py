"""The same write sent twice with the same key: done once, answered twice, whatever dies in between."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from domain.jobs import PurgeExpiredRecordsJob
from domain.use_cases.integration.endpoints import RotateSecret
from domain.use_cases.media.uploading import RegisterUpload
from domain.use_cases.repeating import Once
from domain.use_cases.scheduling import SchedulePost
from pgqueue import AsyncQueue
from tests.domain import files
from tests.domain.api import refused

if TYPE_CHECKING:
    import httpx

    from tests.domain.api import Api

pytestmark = pytest.mark.anyio
KEY = "0197c1de-5f0a-7c3e-9a52-6f3f0f5c9d11"


class Killed(BaseException):
    """The process is gone: nothing is left to say or to tidy up."""


async def send(api: Api, body: dict[str, Any], *, key: str = KEY) -> httpx.Response:
    path = f"{api.of(api.world.tenant)}/posts"
    return await api.ask("POST", path, by=api.world.tenant.author_id, key=key, json=body)


async def upload(api: Api) -> httpx.Response:
    path = f"{api.of(api.world.tenant)}/media?filename=a.jpg"
    headers = {"Content-Type": "image/jpeg"}
    image = files.an_image(size=(8, 8))
    return await api.ask("POST", path, by=api.world.tenant.author_id, key=KEY, content=image, headers=headers)


async def count(api: Api, table: str) -> int:
    [row] = await api.world.rows(f"SELECT count(*) AS n FROM smm.{table}")
    return int(row.n)


async def test_a_repeat_is_answered_as_the_first_and_does_nothing(api: Api) -> None:
    first = await send(api, api.a_post())
    second = await send(api, api.a_post())
    assert (second.status_code, second.content) == (first.status_code, first.content) == (201, first.content)
    assert second.headers["Content-Type"] == first.headers["Content-Type"]
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert await count(api, "posts") == 1


async def test_a_key_belongs_to_one_request(api: Api) -> None:
    assert (await send(api, api.a_post())).status_code == 201
    refused(await send(api, api.a_post("other")), 422, "idempotency-key-reused")
    path = f"{api.of(api.world.tenant)}/reports"
    answer = await api.ask("POST", path, by=api.world.tenant.author_id, key=KEY, json={})
    refused(answer, 422, "idempotency-key-reused")
    assert (await send(api, api.a_post("other"), key="another")).status_code == 201


async def test_keys_of_others_are_none_of_mine(api: Api) -> None:
    assert (await send(api, api.a_post())).status_code == 201
    path = f"{api.of(api.world.tenant)}/posts"
    answer = await api.ask("POST", path, by=api.world.tenant.owner_id, key=KEY, json=api.a_post("mine"))
    assert answer.status_code == 201
    assert "Idempotency-Replayed" not in answer.headers


async def test_what_was_refused_can_be_sent_again_with_its_key(api: Api) -> None:
    wrong = api.a_post("x" * 600)
    refused(await send(api, wrong), 422, "invalid-post")
    refused(await send(api, wrong | {"more": 1}), 422, "invalid")
    assert (await send(api, api.a_post())).status_code == 201


async def test_a_key_that_is_none_is_refused(api: Api) -> None:
    for key in ("", "with space", "x" * 256, "tab\there"):
        refused(await send(api, api.a_post(), key=key), 422, "invalid")
    assert await count(api, "posts") == 0


async def test_of_two_at_once_one_is_done(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    await api.token(api.world.tenant.author_id)
    begun, go_on = asyncio.Event(), asyncio.Event()
    schedule = SchedulePost.__call__

    async def slow(*given: Any, **named: Any) -> Any:
        done = await schedule(*given, **named)
        begun.set()
        await go_on.wait()
        return done

    monkeypatch.setattr(SchedulePost, "__call__", slow)
    first = asyncio.create_task(send(api, api.a_post()))
    await begun.wait()
    refused(await send(api, api.a_post()), 409, "idempotency-key-in-use")
    go_on.set()
    assert (await first).status_code == 201
    assert (await send(api, api.a_post())).content == (await first).content
    assert await count(api, "posts") == 1


async def test_a_crash_after_the_effect_leaves_neither_effect_nor_key(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = Once._keep

    async def die(*_: Any) -> None:
        raise Killed

    monkeypatch.setattr(Once, "_keep", die)
    with pytest.raises(Killed):
        await send(api, api.a_post())
    assert await count(api, "posts") == await count(api, "idempotency_keys") == 0
    assert (await api.world.rows("SELECT count(*) AS n FROM pgqueue.all_jobs"))[0].n == 0
    monkeypatch.setattr(Once, "_keep", keep)
    assert (await send(api, api.a_post())).status_code == 201
    assert await count(api, "posts") == 1


async def test_a_crash_while_the_outside_was_called_is_never_done_twice(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = Once._keep

    async def die_at_the_end(self: Once, uow: Any, request: Any, answer: Any) -> None:
        if answer is not None:
            raise Killed
        await keep(self, uow, request, answer)

    monkeypatch.setattr(Once, "_keep", die_at_the_end)
    with pytest.raises(Killed):
        await upload(api)
    monkeypatch.setattr(Once, "_keep", keep)
    refused(await upload(api), 409, "idempotency-key-in-use")
    assert await count(api, "media") == 1


async def test_an_upload_is_done_once_and_a_refused_one_gives_its_key_back(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{api.of(api.world.tenant)}/media?filename=a.jpg"
    answer = await api.ask(
        "POST", path, by=api.world.tenant.author_id, key=KEY, content=files.SVG, headers={"Content-Type": "image/png"}
    )
    refused(answer, 415, "file-type")
    first, second = await upload(api), await upload(api)
    assert (first.status_code, second.content) == (202, first.content)
    assert await count(api, "media") == 1

    async def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("a bug, after nobody knows what")

    monkeypatch.setattr(RegisterUpload, "__call__", fail)
    await api.world.execute("DELETE FROM smm.idempotency_keys")
    refused(await upload(api), 500, "internal")
    refused(await upload(api), 409, "idempotency-key-in-use")


async def test_a_new_secret_is_not_in_the_table_in_clear(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, base = api.world.tenant.owner_id, f"{api.of(api.world.tenant)}/webhook-endpoints"
    created = await api.ask("POST", base, by=owner, key=KEY, json={"url": f"{api.world.receiver.url}/hook"})
    again = await api.ask("POST", base, by=owner, key=KEY, json={"url": f"{api.world.receiver.url}/hook"})
    assert again.json() == created.json()
    rotate = f"{base}/{created.json()['id']}/rotate"
    first = await api.ask("POST", rotate, by=owner, key="2")

    async def never(*_: Any) -> None:
        raise AssertionError("rotated twice")

    monkeypatch.setattr(RotateSecret, "__call__", never)
    assert (await api.ask("POST", rotate, by=owner, key="2")).json() == first.json()
    for row in await api.world.rows("SELECT response_body FROM smm.idempotency_keys"):
        for secret in (created.json()["secret"], first.json()["secret"]):
            assert secret.encode() not in bytes(row.response_body)


async def test_a_key_ends_after_a_day(api: Api) -> None:
    assert (await send(api, api.a_post())).status_code == 201
    [row] = await api.world.rows("SELECT expires_at - created_at AS kept FROM smm.idempotency_keys")
    assert row.kept.total_seconds() == 24 * 3600
    await api.world.execute("UPDATE smm.idempotency_keys SET expires_at = now() - interval '1 second'")
    assert (await send(api, api.a_post("other"))).status_code == 201
    assert await count(api, "idempotency_keys") == 1


async def test_jobs_of_a_write_with_a_key_run(api: Api) -> None:
    await send(api, api.a_post(now=True))
    await api.world.work()
    [row] = await api.world.rows("SELECT state FROM pgqueue.all_jobs WHERE kind = 'ProcessScheduledPostJob'")
    assert row.state == "completed"


async def test_workers_hear_of_the_jobs_of_a_write_with_a_key_once_they_can_see_them(api: Api) -> None:
    heard: list[str] = []
    queue = AsyncQueue(api.world.queue.settings)
    assert queue.waker is not None
    queue.waker.tell = lambda: heard.append("told")  # type: ignore[method-assign] # it would only wake a worker
    units = replace(api.world.app.units, queue=queue)
    context = api.world.tenant.context
    async with units.as_one(context):
        async with units.begin(context) as uow:
            await uow.dispatch(PurgeExpiredRecordsJob(retention="audit"))
        heard.append("not committed")
    assert heard[-1] == "told"
