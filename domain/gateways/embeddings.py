"""Vectors of texts: from a server that speaks OpenAI's way, or, without one, from the words alone."""

from __future__ import annotations

import hashlib
import math
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

import httpx
from pydantic import BaseModel, ValidationError

from domain.gateways.calls import Caller
from domain.gateways.failures import Rejected, Transient
from domain.models import DIMENSIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import timedelta

    from domain.gateways.breakers import Breakers
    from domain.settings import DomainSettings

PROVIDER = "embeddings"
WRONG_SHAPE = "wrong_shape"
_MOST_CHARACTERS = 8_000
_WORD = re.compile(r"\w+")


class EmbeddingProvider(Protocol):
    """Makes vectors of `DIMENSIONS` numbers and length 1."""

    name: str
    """Of the model: vectors of different models are never compared."""

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return a vector for each text; raises nothing but `GatewayError`."""


class HashingEmbedder:
    """Vectors from words, pairs of words and parts of words, without a model.

    It finds texts that share words. It does not know what words mean: name it as the fallback that it is.
    """

    name = "hashing-1"

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return the same vector for the same text, on every machine."""
        return [normalized(_counted(text)) for text in texts]


class HttpEmbedder:
    """A server with ``POST /v1/embeddings``, local or not."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        breakers: Breakers,
        *,
        url: str,
        model: str,
        key: str,
        deadline: timedelta,
    ) -> None:
        self.name = model
        self._url = url.rstrip("/") + "/v1/embeddings"
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._call = Caller(PROVIDER, http, breakers, deadline=deadline)

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Ask for all texts at once; texts that are too long for the model are cut, once."""
        cut = [text[:_MOST_CHARACTERS] for text in texts]
        try:
            return await self._ask(cut)
        except Rejected as error:
            if error.status != httpx.codes.BAD_REQUEST:
                raise
            return await self._ask([text[: _MOST_CHARACTERS // 8] for text in cut])

    async def _ask(self, texts: Sequence[str]) -> list[list[float]]:
        content = {"model": self.name, "input": list(texts), "dimensions": DIMENSIONS}
        response = await self._call("POST", self._url, reads=True, headers=self._headers, json=content)
        try:
            found = _Answer.model_validate_json(response.content)
        except ValidationError as error:
            raise Transient("the answer holds no vectors", code="bad_answer") from error
        vectors = [each.embedding for each in sorted(found.data, key=lambda each: each.index)]
        if len(vectors) != len(texts):
            raise Transient("the answer holds another number of vectors", code="bad_answer")
        return [normalized(vector) for vector in vectors]


class _Vector(BaseModel):
    index: int
    embedding: list[float]


class _Answer(BaseModel):
    data: list[_Vector]


def normalized(vector: Sequence[float]) -> list[float]:
    """Return the vector with length 1; one of another shape is `Rejected`: the model is not the right one."""
    if len(vector) != DIMENSIONS or not all(map(math.isfinite, vector)):
        message = f"a vector has {len(vector)} numbers; {DIMENSIONS} finite ones are stored"
        raise Rejected(message, code=WRONG_SHAPE)
    length = math.sqrt(sum(number * number for number in vector))
    if length == 0:
        return [1.0, *[0.0] * (DIMENSIONS - 1)]  # a text without words: a vector that has a direction
    return [number / length for number in vector]


def embedder(configuration: DomainSettings, http: httpx.AsyncClient, breakers: Breakers) -> EmbeddingProvider:
    """Return the provider that the settings name."""
    if not configuration.embeddings_url:
        return HashingEmbedder()
    return HttpEmbedder(
        http,
        breakers,
        url=configuration.embeddings_url,
        model=configuration.embeddings_model,
        key=configuration.embeddings_key.get_secret_value(),
        deadline=configuration.network_deadline,
    )


def _counted(text: str) -> list[float]:
    vector = [0.0] * DIMENSIONS
    for feature in _features(text.casefold()[:_MOST_CHARACTERS]):
        digest = hashlib.blake2b(feature.encode(), digest_size=8).digest()
        place = int.from_bytes(digest[:4], "big") % DIMENSIONS
        vector[place] += 1.0 if digest[4] & 1 else -1.0
    return vector


def _features(text: str) -> Iterator[str]:
    words = _WORD.findall(text)
    yield from words
    yield from (f"{first} {second}" for first, second in pairwise(words))
    for word in words:
        marked = f"<{word}>"
        yield from (marked[start : start + size] for size in (3, 4) for start in range(len(marked) - size + 1))
