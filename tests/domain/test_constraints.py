"""What the database itself refuses, whatever the code above it does."""

from __future__ import annotations

import hashlib
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from psycopg import errors
from sqlalchemy.orm import Session

from domain import models as m
from tests.domain.rows import Rows, a_report, a_subscription, a_tenant, an_embedding

if TYPE_CHECKING:
    from collections.abc import Iterator

TABLES = m.Base.metadata.sorted_tables
CHECKS = [
    (table, constraint)
    for table in TABLES
    for constraint in sorted(table.constraints, key=lambda c: str(c.name))
    if isinstance(constraint, sa.CheckConstraint)
]
NONSENSE = [
    ("scheduled_posts_paused_knows_its_past", "UPDATE smm.scheduled_posts SET status = 'paused'"),
    ("scheduled_posts_wall_time_has_a_zone", "UPDATE smm.scheduled_posts SET wall_time = '2026-11-02 09:00'"),
    ("social_accounts_credentials_present", "UPDATE smm.social_accounts SET credentials = ''"),
    ("invitations_email_in_lower_case", "UPDATE smm.invitations SET email = 'Rui@convidado.example'"),
    ("media_byte_size_not_negative", "UPDATE smm.media SET byte_size = -1"),
    ("media_sha256_whole", "UPDATE smm.media SET sha256 = '\\xff'"),
    ("post_media_position_not_negative", "UPDATE smm.post_media SET position = -1"),
    ("usage_events_quantity_positive", "UPDATE smm.usage_events SET quantity = 0"),
    ("usage_records_quantity_not_negative", "UPDATE smm.usage_records SET quantity = -1"),
    ("usage_records_period_has_a_length", "UPDATE smm.usage_records SET period_end = period_start"),
    ("reports_period_has_a_length", "UPDATE smm.reports SET period_end = period_start - 1"),
    ("account_deletions_due_after_the_request", "UPDATE smm.account_deletions SET due_at = '-infinity'"),
    ("webhook_endpoints_previous_secret_has_an_end", "UPDATE smm.webhook_endpoints SET previous_secret = 'sealed'"),
    ("webhook_events_id_can_be_signed", "UPDATE smm.webhook_events SET id = 'msg_1.2'"),
    ("webhook_events_id_can_be_signed", "UPDATE smm.webhook_events SET id = 'evt_1'"),
    ("idempotency_keys_key_has_a_length", "UPDATE smm.idempotency_keys SET key = ''"),
    ("idempotency_keys_request_hash_whole", "UPDATE smm.idempotency_keys SET request_hash = ''"),
    ("idempotency_keys_answered_or_not", "UPDATE smm.idempotency_keys SET response_status = 201"),
]


@pytest.fixture
def session(engine: sa.Engine) -> Iterator[Session]:
    with Session(engine) as opened:
        yield opened


@pytest.fixture
def ours(session: Session) -> Rows:
    return a_tenant(session, "aurora")


@pytest.fixture
def theirs(session: Session) -> Rows:
    return a_tenant(session, "horizonte")


@contextmanager
def refused(session: Session, by: type[errors.IntegrityError], constraint: str) -> Iterator[None]:
    """Expect the block to meet this constraint, and leave nothing of it."""
    savepoint = session.begin_nested()
    with pytest.raises(sa.exc.IntegrityError) as caught:  # noqa: PT012 - whatever the block did not send is sent here
        yield
        session.flush()
    savepoint.rollback()
    assert isinstance(caught.value.orig, by)
    assert caught.value.orig.diag.constraint_name == constraint


@pytest.mark.usefixtures("ours")
def test_a_tenant_has_a_row_in_every_table(session: Session) -> None:
    empty = [
        table.name for table in TABLES if not session.scalar(sa.select(sa.exists(sa.select(1).select_from(table))))
    ]
    assert empty == []


def joins() -> list[sa.ForeignKeyConstraint]:
    """Every foreign key that joins two rows of which each has a tenant."""
    return [
        key
        for table in TABLES
        if "organization_id" in table.c
        for key in sorted(table.foreign_key_constraints, key=lambda c: str(c.name))
        if "organization_id" in key.referred_table.c
    ]


def test_every_key_that_joins_two_rows_of_a_tenant_names_the_tenant() -> None:
    assert [key.name for key in joins() if "organization_id" not in key.column_keys] == []


@pytest.mark.trap("a tenant names another tenant's ids")
def test_no_row_can_point_to_another_tenants_row(session: Session, ours: Rows, theirs: Rows) -> None:
    assert len(joins()) >= 15
    for key in joins():
        table, name = key.parent, str(key.name)
        pointing = next(element for element in key.elements if element.parent.name != "organization_id")
        if pointing.parent.name == "metric":  # a word that both have: only the tenant tells their rows apart
            continue
        column, mine = pointing.parent, [table.c.organization_id == ours.organization_id]
        if column.computed is not None:  # it follows from another one
            mine.append(column.is_not(None))
            column = table.c.subject_id
        foreign = (
            sa.select(pointing.column)
            .where(pointing.column.table.c.organization_id == theirs.organization_id)
            .scalar_subquery()
        )
        with refused(session, errors.ForeignKeyViolation, name):
            # their own pointing row goes first: no unique key shall be met before the foreign one
            session.execute(sa.delete(table).where(table.c.organization_id == theirs.organization_id))
            session.execute(sa.update(table).where(*mine).values({column: foreign}))
    assert session.scalar(sa.select(sa.func.count()).select_from(m.Embedding)) == 4


def test_no_row_can_move_to_another_tenant_and_leave_what_it_belongs_to(
    session: Session, ours: Rows, theirs: Rows
) -> None:
    for table in dict.fromkeys(key.parent for key in joins()):
        savepoint = session.begin_nested()
        with pytest.raises(sa.exc.IntegrityError) as caught:
            session.execute(
                sa.update(table)
                .where(table.c.organization_id == ours.organization_id)
                .values(organization_id=theirs.organization_id)
            )
        savepoint.rollback()
        assert isinstance(caught.value.orig, (errors.ForeignKeyViolation, errors.UniqueViolation)), table.name


@pytest.mark.usefixtures("ours")
def test_a_column_that_knows_its_words_takes_no_other(session: Session) -> None:
    seen = set()
    for table, constraint in CHECKS:
        if found := re.match(r"(\w+) IN \(", str(constraint.sqltext)):
            with refused(session, errors.CheckViolation, str(constraint.name)):
                session.execute(sa.update(table).values({found[1]: "nonsense"}))
            seen.add(f"{table.name}.{found[1]}")
    ruled = {
        f"{mapper.local_table.name}.{column}"  # type: ignore[attr-defined] # every model has a table
        for mapper in m.Base.registry.mappers
        for column in getattr(mapper.class_, "MOVES", {})
    }
    assert ruled <= seen


@pytest.mark.usefixtures("ours")
def test_a_state_is_refused_without_what_belongs_to_it(session: Session) -> None:
    seen = 0
    for table, constraint in CHECKS:
        if found := re.match(r"(\w+) <> '(\w+)' OR \((.*)\)", str(constraint.sqltext)):
            column, state, rest = found.groups()
            needed = re.findall(r"(\w+) IS NOT NULL", rest)
            with refused(session, errors.CheckViolation, str(constraint.name)):
                session.execute(sa.update(table).values({column: state} | dict.fromkeys(needed)))
            seen += 1
    assert seen >= 14


@pytest.mark.usefixtures("ours")
def test_a_row_that_makes_no_sense_is_refused(session: Session) -> None:
    for constraint, statement in NONSENSE:
        with refused(session, errors.CheckViolation, constraint):
            session.execute(sa.text(statement))
    tested = {constraint for constraint, _ in NONSENSE}
    others = {str(check.name) for _, check in CHECKS if not re.match(r"\w+ (IN \(|<> ')", str(check.sqltext))}
    assert tested == others


@pytest.mark.usefixtures("ours")
def test_an_address_is_one_user_however_it_is_spelled(session: Session) -> None:
    with refused(session, errors.UniqueViolation, "users_email"):
        session.add(m.User(email="ANA@Aurora.example"))


def test_a_vector_of_another_size_is_refused(session: Session, ours: Rows) -> None:
    post = m.Post(id=m.new_id(), organization_id=ours.organization_id, author_id=ours.user_id, body="outro")
    session.add(post)
    session.flush()
    savepoint = session.begin_nested()
    session.add(an_embedding(ours, "post", post.id, dimensions=383))
    with pytest.raises(sa.exc.DBAPIError, match="expected 384 dimensions, not 383"):
        session.flush()
    savepoint.rollback()
    session.add(an_embedding(ours, "post", post.id))
    session.flush()


@pytest.mark.usefixtures("ours")
def test_a_vector_goes_with_its_text(session: Session) -> None:
    session.execute(sa.delete(m.Comment))
    assert session.scalars(sa.select(m.Embedding.subject_type)).all() == ["post"]


@pytest.mark.usefixtures("ours")
def test_a_texts_hash_is_that_of_its_bytes_and_follows_it(session: Session) -> None:
    post = session.scalars(sa.select(m.Post)).one()
    for body in ("", "olá", "a\\b \\000 \\\\ '", "👩‍👩‍👧 🇧🇷", "x" * 10_000):
        post.body = body
        session.flush()
        session.refresh(post)
        assert post.content_hash == hashlib.sha256(body.encode()).digest()


def test_an_organization_has_one_living_subscription_and_may_subscribe_again(session: Session, ours: Rows) -> None:
    with refused(session, errors.UniqueViolation, "subscriptions_living"):
        session.add(a_subscription(ours, "sub_2"))
    session.execute(sa.update(m.Subscription).values(status="canceled"))
    session.add(a_subscription(ours, "sub_2"))
    session.flush()


def test_one_report_of_a_kind_is_made_at_a_time(session: Session, ours: Rows) -> None:
    with refused(session, errors.UniqueViolation, "reports_requested"):
        session.add(a_report(ours))
    session.add(a_report(ours, "audience"))
    session.execute(sa.update(m.Report).where(m.Report.kind == "engagement").values(status="failed"))
    session.add(a_report(ours))
    session.flush()


def test_a_user_has_one_open_deletion(session: Session, ours: Rows) -> None:
    with refused(session, errors.UniqueViolation, "account_deletions_open"):
        session.add(m.AccountDeletion(user_id=ours.user_id, due_at=sa.func.now()))
    session.execute(sa.text("UPDATE smm.account_deletions SET status = 'canceled', canceled_at = now()"))
    session.add(m.AccountDeletion(user_id=ours.user_id, due_at=sa.func.now()))
    session.flush()


def test_new_users_have_stamps_of_their_own(session: Session, ours: Rows, theirs: Rows) -> None:
    assert ours != theirs
    assert len(set(session.scalars(sa.select(m.User.security_stamp)))) == 2
