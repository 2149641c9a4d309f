"""Vectors of texts, and the posts that are alike."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from domain.gateways.embeddings import HashingEmbedder, normalized
from domain.gateways.failures import Rejected
from domain.jobs import GenerateEmbeddingJob
from domain.models import DIMENSIONS, Embedding

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from tests.domain.world import Tenant, World

pytestmark = pytest.mark.anyio


async def _post(world: World, body: str, tenant: Tenant | None = None) -> UUID:
    scheduled = await world.schedule(body, tenant=tenant)
    await world.work()
    return (await world.post(scheduled)).post_id


async def _embeddings(world: World) -> Sequence[Embedding]:
    async with world.app.units.sessions() as session:
        return (await session.scalars(select(Embedding))).all()


async def _dispatch(world: World, post_id: UUID, tenant: Tenant | None = None) -> None:
    async with world.engine.begin() as conn:
        job = GenerateEmbeddingJob(subject_type="post", subject_id=post_id)
        await world.queue.enqueue(conn, job, context=(tenant or world.tenant).context)
    await world.work()


async def test_posts_that_share_words_are_alike_and_other_tenants_are_not_seen(world: World) -> None:
    coffee = await _post(world, "o melhor café da cidade abre hoje")
    alike = await _post(world, "café novo na cidade: abre hoje")
    other = await _post(world, "manutenção de bicicletas aos domingos")
    await _post(world, "o melhor café da cidade abre hoje", world.stranger)
    found = await world.app.analytics.similar_posts(world.tenant.context, coffee)
    assert [each.post_id for each in found] == [alike, other]
    assert found[0].similarity > 0.3 > found[1].similarity
    assert await world.app.analytics.similar_posts(world.stranger.context, coffee) == []


async def test_the_same_text_is_embedded_once(world: World) -> None:
    post_id = await _post(world, "olá")
    [before] = await _embeddings(world)
    for _ in range(2):
        await _dispatch(world, post_id)
    [after] = await _embeddings(world)
    assert (after.created_at, after.content_hash) == (before.created_at, before.content_hash)


async def test_a_job_of_another_tenant_embeds_nothing(world: World) -> None:
    post_id = await _post(world, "olá")
    await world.execute("DELETE FROM smm.embeddings")
    await _dispatch(world, post_id, world.stranger)
    assert await _embeddings(world) == []


class _Interrupted(HashingEmbedder):
    """While the first text is being embedded its author writes another one."""

    def __init__(self, world: World, post_id: UUID) -> None:
        self._world = world
        self._post_id = post_id
        self.texts: list[str] = []

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        self.texts += texts
        if len(self.texts) == 1:
            await self._world.execute("UPDATE smm.posts SET body = 'novo' WHERE id = :id", id=self._post_id)
        return await super().embed(texts)


@pytest.mark.trap("the vector of an older text overwrites that of a newer one")
async def test_an_older_text_s_vector_never_overwrites_a_newer_one_s(world: World) -> None:
    post_id = await _post(world, "olá")
    await world.execute("UPDATE smm.posts SET body = 'velho' WHERE id = :id", id=post_id)
    provider = _Interrupted(world, post_id)
    generate = replace(world.app.analytics.generate_embedding, provider=provider)
    await world.restart(replace(world.app, analytics=replace(world.app.analytics, generate_embedding=generate)))
    await _dispatch(world, post_id)
    await world.execute("UPDATE pgqueue.jobs SET run_at = pgqueue.clock() WHERE kind = 'GenerateEmbeddingJob'")
    await world.work()
    assert provider.texts == ["velho", "novo"]
    [stored] = await _embeddings(world)
    [row] = await world.rows("SELECT content_hash FROM smm.posts WHERE id = :id", id=post_id)
    assert stored.content_hash == bytes(row.content_hash)
    [expected] = await HashingEmbedder().embed(["novo"])
    assert list(stored.embedding) == pytest.approx(expected, abs=1e-6)


async def test_a_model_of_another_shape_is_a_dead_letter(world: World) -> None:
    class Wrong(HashingEmbedder):
        async def embed(self, texts: Sequence[str]) -> list[list[float]]:
            return [normalized([1.0] * 383) for _ in texts]

    generate = replace(world.app.analytics.generate_embedding, provider=Wrong())
    await world.restart(replace(world.app, analytics=replace(world.app.analytics, generate_embedding=generate)))
    await _post(world, "olá")
    assert await world.jobs("GenerateEmbeddingJob") == [("dead", 1)]


async def test_vectors_have_length_one_and_are_the_same_everywhere() -> None:
    [vector, again, empty] = await HashingEmbedder().embed(["Olá, mundo", "olá, MUNDO", " … "])
    assert vector == again
    assert len(vector) == DIMENSIONS
    assert math.hypot(*vector) == pytest.approx(1)
    assert math.hypot(*empty) == 1


@pytest.mark.parametrize("vector", [[1.0] * 383, [math.nan] * DIMENSIONS, [math.inf] * DIMENSIONS])
def test_a_vector_of_another_shape_is_refused(vector: list[float]) -> None:
    with pytest.raises(Rejected):
        normalized(vector)
