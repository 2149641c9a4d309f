"""What is wrong with a request is said in one shape, and what is wrong with us is not told."""

from __future__ import annotations

import json
from itertools import product
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event

from domain.http.edge import HEADERS, LARGEST_BODY
from domain.use_cases.media.inspecting import inspected
from domain.use_cases.media.sniffing import measures
from domain.use_cases.reading.posts import ListPosts
from tests.domain import files
from tests.domain.api import refused
from tests.domain.signing_up import PASSWORD

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.domain.api import Api

pytestmark = pytest.mark.anyio


async def test_every_kind_of_error_is_a_problem(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    author, posts = api.world.tenant.author_id, f"{api.of(api.world.tenant)}/posts"
    refused(await api.ask("GET", "/nowhere"), 404, "no-such-path")
    answer = await api.ask("DELETE", posts, by=author)
    refused(answer, 405, "method")
    assert answer.headers["Allow"] == "GET, POST"
    found = refused(await api.ask("POST", posts, by=author, json={"body": 7}), 422, "invalid")
    assert {each["where"] for each in found["errors"]} == {"body/body", "body/scheduled_at", "body/account_ids"}
    refused(await api.ask("GET", f"{posts}/7", by=author), 422, "invalid")
    refused(await api.ask("GET", f"{posts}?limit=101", by=author), 422, "invalid")
    refused(await api.ask("GET", f"{posts}/{uuid4()}", by=author), 404, "not-found")
    json_headers = {"Content-Type": "application/json"}
    refused(await api.ask("POST", posts, by=author, content=b"{", headers=json_headers), 422, "invalid")
    refused(await api.ask("POST", posts, by=author, content=b"\xff", headers=json_headers), 400, "bad-request")
    nested = b"[" * 100_000
    refused(await api.ask("POST", posts, by=author, content=nested, headers=json_headers), 400, "bad-request")

    async def fail(*_: Any) -> None:
        raise RuntimeError("the password of the database is hunter2")

    monkeypatch.setattr(ListPosts, "__call__", fail)
    answer = await api.ask("GET", posts, by=author)
    refused(answer, 500, "internal")
    assert "hunter2" not in answer.text
    assert all(answer.headers[name.decode()] == value.decode() for name, value in HEADERS)


NASTY = ("a\x00b", "half \ud83d", "abc\u202egpj.exe", "\u2066hidden\u2069", "bell\x07", "c1\x9b")
FOREIGN = (
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e7\U0001f1f7 e\u0301",
    "\u05e9\u05dc\u05d5\u05dd",
    "\u200f\u0645\u0631\u062d\u0628\u0627\u200f",
    "line\n\tbreak",
    "A" + "\u0300" * 20,
    "\ufeffx",
    "'; DROP TABLE",
)


async def test_text_that_is_not_what_it_looks_like_is_refused(api: Api) -> None:
    posts = f"{api.of(api.world.tenant)}/posts"
    headers = {"Content-Type": "application/json"}
    for text in NASTY:
        body = json.dumps(api.a_post(text)).encode()  # escaped, as httpx would refuse to send half a character
        answer = await api.ask("POST", posts, by=api.world.tenant.author_id, content=body, headers=headers)
        [fault] = refused(answer, 422, "invalid")["errors"]
        assert fault["where"] == "body/body"
        assert "the text holds" in fault["message"]


async def test_text_of_all_the_world_is_taken_as_it_is(api: Api) -> None:
    author, posts = api.world.tenant.author_id, f"{api.of(api.world.tenant)}/posts"
    for text in FOREIGN:
        assert (await api.ask("POST", posts, by=author, json=api.a_post(text))).status_code == 201
    found = (await api.get(posts, by=author))["items"]
    assert [post["body"] for post in found] == [*reversed(FOREIGN)]


FILES = (
    (files.SVG, "image/svg+xml", 415, "file-type"),
    (files.SVG, "image/png", 415, "file-type"),
    (files.HTML, "image/jpeg", 415, "file-type"),
    (files.an_image("PNG"), "image/jpeg", 415, "file-type"),
    (files.an_image("JPEG"), "", 415, "file-type"),
    (b"MZ" + bytes(100), "video/mp4", 415, "file-type"),
    (files.a_bomb(), "image/png", 422, "invalid-upload"),
    (b"", "image/png", 422, "invalid-upload"),
    (files.an_image("PNG") + bytes(5 << 20), "image/png", 422, "invalid-upload"),
)


async def test_a_file_that_is_not_what_it_says_is_refused(api: Api) -> None:
    path = f"{api.of(api.world.tenant)}/media?filename=a.png"
    for content, declared, status, code in FILES:
        headers = {"Content-Type": declared} if declared else {}
        answer = await api.ask("POST", path, by=api.world.tenant.author_id, content=content, headers=headers)
        refused(answer, status, code)
    assert await api.world.rows("SELECT id FROM smm.media") == []


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
async def test_a_file_is_looked_at_however_it_is_cut(kind: str) -> None:
    image = files.an_image(kind, size=(640, 480))
    passed = b"".join([chunk async for chunk in inspected(files.stream(image, 7), "application/octet-stream")])
    assert passed == image
    assert measures(image, f"image/{kind.lower()}") == (640, 480)


async def test_a_body_that_is_too_long_is_refused_however_it_comes(api: Api) -> None:
    author, posts = api.world.tenant.author_id, f"{api.of(api.world.tenant)}/posts"
    headers = {"Content-Type": "application/json"}
    long = b" " * (LARGEST_BODY + 1)
    refused(await api.ask("POST", posts, by=author, content=long, headers=headers), 413, "too-large")
    refused(await api.ask("POST", posts, by=author, content=long, headers=headers, key="k"), 413, "too-large")

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b" " * (LARGEST_BODY // 2)

    refused(await api.ask("POST", posts, by=author, content=chunks(), headers=headers), 413, "too-large")
    refused(await api.ask("POST", "/stripe/events", content=long), 413, "too-large")


async def test_an_id_of_the_client_is_taken_if_it_is_one(api: Api) -> None:
    mine = uuid4()
    answer = await api.ask("GET", "/health", headers={"X-Request-Id": str(mine)})
    assert (answer.status_code, answer.json(), answer.headers["X-Request-Id"]) == (200, {"status": "ok"}, str(mine))
    for given in ("7", "' OR 1=1", "x" * 5000):
        answer = await api.ask("GET", "/health", headers={"X-Request-Id": given})
        assert UUID(answer.headers["X-Request-Id"]) not in (mine, given)
    assert all(answer.headers[name.decode()] == value.decode() for name, value in HEADERS)


async def test_guessing_passwords_becomes_slow(api: Api) -> None:
    guess = {"email": "owner@aurora.example", "password": "wrong password"}
    for _ in range(10):
        refused(await api.ask("POST", "/sessions", json=guess), 401, "wrong-credentials")
    answer = await api.ask("POST", "/sessions", json=guess | {"password": PASSWORD})
    refused(answer, 429, "too-many-requests")
    assert 1 <= int(answer.headers["Retry-After"]) <= 180
    await api.token(api.world.stranger.owner_id)


async def test_mails_are_not_sent_for_ever(api: Api) -> None:
    for _ in range(3):
        answer = await api.ask("POST", "/password-resets", json={"email": "owner@aurora.example"})
        assert answer.status_code == 202
    answer = await api.ask("POST", "/password-resets", json={"email": "owner@aurora.example"})
    refused(answer, 429, "too-many-requests")
    assert answer.headers["Retry-After"] == "3600"


async def test_a_cursor_of_somewhere_else_is_refused(api: Api) -> None:
    author = api.world.tenant.author_id
    cursors = ("x", "bm8", "W10", "WyIxIl0", "WyJcdTAwMDAiXQ", "ñ", "A" * 499, "WzFd")
    for kind, cursor in product(("posts", "publications", "reports"), cursors):
        answer = await api.ask("GET", f"{api.of(api.world.tenant)}/{kind}", by=author, params={"cursor": cursor})
        refused(answer, 422, "invalid-cursor")


async def test_pages_show_everything_once(api: Api) -> None:
    for number in range(5):
        await api.world.schedule(f"post {number}")
    author, seen, cursor = api.world.tenant.author_id, [], ""
    while True:
        page = await api.get(f"{api.of(api.world.tenant)}/posts?limit=2{cursor}", by=author)
        seen += [post["body"] for post in page["items"]]
        await api.world.schedule("newer than what is read")
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == [f"post {number}" for number in (4, 3, 2, 1, 0)]


async def test_a_long_page_takes_no_more_statements_than_a_short_one(api: Api) -> None:
    posts, author = f"{api.of(api.world.tenant)}/posts", api.world.tenant.author_id
    await api.token(author)
    counts = []
    for number in (1, 6):
        for _ in range(number):
            await api.world.schedule()
        statements: list[str] = []
        event.listen(api.world.engine.sync_engine, "before_cursor_execute", lambda *of, to=statements: to.append(of[2]))
        found = await api.get(posts, by=author)
        counts.append((len(found["items"]), len(statements)))
    assert [length for length, _ in counts] == [1, 7]
    assert counts[0][1] == counts[1][1]
