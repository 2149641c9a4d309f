"""Which texts are alike: GenerateEmbedding stores vectors, SimilarPosts compares them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sqlalchemy import and_, select, text
from sqlalchemy.dialects.postgresql import insert

from domain.events import EmbeddingStored
from domain.gateways.embeddings import WRONG_SHAPE
from domain.gateways.failures import Postponed, Rejected
from domain.models import Comment, Embedding, Post, ScheduledPost
from pgqueue import Dead, Discard, Outcome, RetryIn, Snooze

if TYPE_CHECKING:
    from uuid import UUID

    from domain.gateways.embeddings import EmbeddingProvider
    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from pgqueue import Context, JobContext

Subject = Literal["post", "comment", "publication"]
"""What a text belongs to; a publication stands for the post that it published."""
MOST_SIMILAR = 50


@dataclass(frozen=True, slots=True)
class _Text:
    subject_type: str
    subject_id: UUID
    text: str
    content_hash: bytes


@dataclass(frozen=True, slots=True)
class GenerateEmbedding:
    """Store the vector of a text as it is now; safe to call again at any moment."""

    units: UnitsOfWork
    provider: EmbeddingProvider

    async def __call__(self, subject_type: Subject, subject_id: UUID, ctx: JobContext) -> Outcome | None:
        """Make it unless there is one of this very text and model."""
        async with self.units.begin(ctx.context) as uow:
            found = await _find(uow, subject_type, subject_id)
            if found is None or await self._known(uow, found):
                return None
        try:
            [vector] = await self.provider.embed([found.text])
        except Postponed as error:
            return Snooze(error.wait, f"{error.code}: {error}")
        except Rejected as error:
            # a model of another shape is a mistake in the settings, and a human has to know
            return (Dead if error.code == WRONG_SHAPE else Discard)(f"{error.code}: {error}")
        async with self.units.begin(ctx.context) as uow:
            # locked: the text cannot change between this look and the commit of the vector
            now = await _find(uow, subject_type, subject_id, lock=True)
            if now is None:
                return None
            if now.content_hash != found.content_hash:
                return RetryIn("1s", "the text was edited meanwhile")
            await self._store(uow, found, vector)
        return None

    async def _known(self, uow: UnitOfWork, found: _Text) -> bool:
        key = (found.subject_type, found.subject_id, self.provider.name)
        stored = await uow.session.get(Embedding, key)
        return stored is not None and stored.content_hash == found.content_hash

    async def _store(self, uow: UnitOfWork, found: _Text, vector: list[float]) -> None:
        statement = insert(Embedding).values(
            subject_type=found.subject_type,
            subject_id=found.subject_id,
            model=self.provider.name,
            organization_id=uow.organization_id,
            content_hash=found.content_hash,
            embedding=vector,
        )
        changed = {name: statement.excluded[name] for name in ("content_hash", "embedding")}
        stored = await uow.session.execute(
            statement.on_conflict_do_update(
                index_elements=[Embedding.subject_type, Embedding.subject_id, Embedding.model],
                set_=changed,
                where=Embedding.content_hash != statement.excluded.content_hash,
            ).returning(Embedding.subject_id)
        )
        if stored.first() is not None:
            await uow.publish(EmbeddingStored(subject_type=found.subject_type, subject_id=found.subject_id))


@dataclass(frozen=True, slots=True)
class SimilarPost:
    """A post and how alike it is: 1 is the same, 0 has nothing in common."""

    post_id: UUID
    similarity: float


@dataclass(frozen=True, slots=True)
class SimilarPosts:
    """Find the posts of this organization that are most like one of them."""

    units: UnitsOfWork
    provider: EmbeddingProvider

    async def __call__(self, context: Context, post_id: UUID, *, limit: int = 10) -> list[SimilarPost]:
        """Return them, most alike first; none as long as the post has no vector."""
        async with self.units.begin(context) as uow:
            mine = and_(
                Embedding.organization_id == uow.organization_id,
                Embedding.model == self.provider.name,
                Embedding.subject_type == "post",
            )
            vector = await uow.session.scalar(
                select(Embedding.embedding).where(
                    mine, Embedding.subject_type == "post", Embedding.subject_id == post_id
                )
            )
            if vector is None:
                return []
            # else the index may give too few rows: it looks at the neighbours of all tenants and filters afterwards
            await uow.session.execute(text("SET LOCAL hnsw.iterative_scan = 'strict_order'"))
            distance = Embedding.embedding.cosine_distance(vector)
            found = await uow.session.execute(
                select(Embedding.subject_id, (1 - distance).label("similarity"))
                .join(Post, Post.id == Embedding.post_id)
                .where(
                    mine, Embedding.subject_type == "post", Embedding.subject_id != post_id, Post.deleted_at.is_(None)
                )
                .order_by(distance)
                .limit(min(max(limit, 1), MOST_SIMILAR))
            )
            return [SimilarPost(each.subject_id, float(each.similarity)) for each in found]


async def _find(uow: UnitOfWork, subject_type: Subject, subject_id: UUID, *, lock: bool = False) -> _Text | None:
    """Load the text as it is now."""
    if subject_type == "comment":
        comments = select(Comment).where(Comment.organization_id == uow.organization_id, Comment.id == subject_id)
        comment = await uow.session.scalar(comments.with_for_update(read=True) if lock else comments)
        return None if comment is None else _Text("comment", comment.id, comment.body_text, comment.content_hash)
    posts = select(Post).where(Post.organization_id == uow.organization_id)
    if subject_type == "publication":
        of = select(ScheduledPost.post_id).where(ScheduledPost.id == subject_id).scalar_subquery()
        posts = posts.where(Post.id == of)
    else:
        posts = posts.where(Post.id == subject_id)
    post = await uow.session.scalar(posts.with_for_update(read=True) if lock else posts)
    return None if post is None else _Text("post", post.id, post.body, post.content_hash)
