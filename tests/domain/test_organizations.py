"""Organizations: who founds them, who belongs to them, who may do what."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from domain.models import RIGHTS, Right, Role, User, new_id
from domain.use_cases.administration.operators import Forbidden, UnknownSubject
from domain.use_cases.billing.limits import PlanLimit
from domain.use_cases.organizations.authorizing import NotAMember
from domain.use_cases.organizations.founding import MOST_FOUNDED, InvalidOrganization
from domain.use_cases.organizations.invitations import AlreadyAMember
from domain.use_cases.organizations.members import LastOwner
from pgqueue import Context
from tests.domain.signing_up import NOBODY

if TYPE_CHECKING:
    from domain.contexts.organizations import Organizations
    from tests.domain.world import World

pytestmark = pytest.mark.anyio


@pytest.fixture
def orgs(world: World) -> Organizations:
    return world.app.organizations


def owner(world: World) -> Context:
    return Context(str(world.tenant.organization_id), str(world.tenant.owner_id))


async def a_user(world: World, email: str = "rui@fora.example", status: str = "active") -> Context:
    """Somebody who belongs to no organization."""
    user = User(id=new_id(), email=email, status=status)
    async with world.app.units.sessions.begin() as session:
        session.add(user)
    return Context(NOBODY.organization_id, str(user.id))


async def joined(world: World, role: Role, email: str = "rui@fora.example") -> Context:
    """Somebody who was invited into the tenant and came."""
    await world.execute("UPDATE smm.organizations SET plan = 'pro'")
    guest = await a_user(world, email)
    orgs = world.app.organizations
    invitation_id = await orgs.invite_member(owner(world), email=email, role=role)
    await orgs.accept_invitation(guest, invitation_id)
    return Context(str(world.tenant.organization_id), guest.user_id)


async def actions(world: World) -> list[str]:
    return [row.action for row in await world.rows("SELECT action FROM smm.audit_log ORDER BY id")]


async def test_whoever_founds_an_organization_owns_it(world: World, orgs: Organizations) -> None:
    founder = await a_user(world)
    ids = [
        await orgs.create_organization(founder, name=name, timezone="America/Sao_Paulo")
        for name in ("  Padaria\tSão João ", "Padaria São João", "日本")
    ]
    found = await orgs.list_organizations(founder)
    assert [each.organization_id for each in found] == ids
    assert {(each.role, each.plan, each.status) for each in found} == {(Role.OWNER, "free", "active")}
    assert found[0].name == "Padaria São João"
    assert found[0].slug.startswith("padaria-sao-joao-")
    assert found[2].slug.startswith("organization-")
    assert len({each.slug for each in found}) == 3
    assert await orgs.authorize(Context(str(ids[0]), founder.user_id), Right.BILLING) == Role.OWNER
    assert await actions(world) == ["organization.created"] * 3


@pytest.mark.parametrize(
    "bad",
    [{"name": " \t\x00"}, {"name": "x" * 201}, {"name": "A", "timezone": "../etc"}, {"name": "A", "locale": "xx"}],
)
async def test_details_that_no_organization_can_have_are_refused(
    world: World, orgs: Organizations, bad: dict[str, str]
) -> None:
    founder = await a_user(world)
    with pytest.raises(InvalidOrganization):
        await orgs.create_organization(founder, **bad)
    assert await orgs.list_organizations(founder) == []


async def test_nobody_founds_without_an_address_and_nobody_founds_for_ever(world: World, orgs: Organizations) -> None:
    unverified = await a_user(world, "nova@fora.example", "pending")
    with pytest.raises(Forbidden):
        await orgs.create_organization(unverified, name="A")
    founder = await a_user(world)
    results = await asyncio.gather(
        *(orgs.create_organization(founder, name=f"N{n}") for n in range(MOST_FOUNDED + 2)), return_exceptions=True
    )
    assert sum(isinstance(result, Forbidden) for result in results) == 2
    assert len(await orgs.list_organizations(founder)) == MOST_FOUNDED


def test_every_role_has_what_the_one_below_it_has() -> None:
    roles = list(Role)
    for above, below in pairwise(roles):
        assert RIGHTS[above] > RIGHTS[below]
    assert {right for right in Right if right not in RIGHTS[Role.ADMIN]} == {Right.BILLING}


async def test_strangers_are_told_that_there_is_nothing(world: World, orgs: Organizations) -> None:
    theirs = Context(str(world.stranger.organization_id), str(world.tenant.owner_id))
    nowhere = Context(str(new_id()), str(world.tenant.owner_id))
    said = set()
    for context in (theirs, nowhere):
        for call in (
            orgs.authorize(context, Right.VIEW),
            orgs.list_members(context),
            orgs.change_organization(context, name="ours"),
            orgs.leave_organization(context),
            orgs.list_invitations(context),
        ):
            with pytest.raises(UnknownSubject) as refused:
                await call
            said.add(type(refused.value) if context is theirs else None)
    assert said == {NotAMember, None}


async def test_an_editor_publishes_and_decides_about_nobody(world: World, orgs: Organizations) -> None:
    editor = world.tenant.context
    assert await orgs.authorize(editor, Right.PUBLISH) == Role.EDITOR
    for right in (Right.CONNECT, Right.MANAGE_MEMBERS, Right.BILLING, Right.CONFIGURE):
        with pytest.raises(Forbidden):
            await orgs.authorize(editor, right)
    with pytest.raises(Forbidden):
        await orgs.invite_member(editor, email="rui@fora.example", role=Role.VIEWER)
    with pytest.raises(Forbidden):
        await orgs.change_role(editor, world.tenant.author_id, Role.OWNER)
    with pytest.raises(Forbidden):
        await orgs.remove_member(editor, world.tenant.owner_id)


async def test_a_suspended_organization_is_looked_at_and_no_more(world: World, orgs: Organizations) -> None:
    await world.execute(
        "UPDATE smm.organizations SET status = 'suspended', suspended_at = now(), suspension_id = gen_random_uuid()"
    )
    assert await orgs.authorize(owner(world), Right.VIEW) == Role.OWNER
    with pytest.raises(Forbidden, match="suspended"):
        await orgs.authorize(owner(world), Right.PUBLISH)


async def test_an_invitation_is_found_by_whoever_has_the_address(world: World, orgs: Organizations) -> None:
    await world.execute("UPDATE smm.organizations SET plan = 'pro'")
    invitation_id = await orgs.invite_member(owner(world), email=" Rui@Fora.example ", role=Role.EDITOR)
    again = await orgs.invite_member(owner(world), email="rui@fora.example", role=Role.ADMIN)
    assert again == invitation_id
    rui, eva = await a_user(world, "rui@fora.example"), await a_user(world, "eva@fora.example")
    [found] = await orgs.my_invitations(rui)
    assert (found.organization, found.role) == ("aurora", Role.ADMIN)
    assert await orgs.my_invitations(eva) == []
    for nosy in (eva, world.stranger.context, owner(world)):
        with pytest.raises(UnknownSubject):
            await orgs.accept_invitation(nosy, invitation_id)
    assert await orgs.accept_invitation(rui, invitation_id) == world.tenant.organization_id
    with pytest.raises(UnknownSubject):
        await orgs.accept_invitation(rui, invitation_id)
    member = Context(str(world.tenant.organization_id), rui.user_id)
    assert await orgs.authorize(member, Right.MANAGE_MEMBERS) == Role.ADMIN
    assert [each.email for each in await orgs.list_members(member)][-1] == "rui@fora.example"
    with pytest.raises(AlreadyAMember):
        await orgs.invite_member(owner(world), email="RUI@fora.example", role=Role.VIEWER)
    assert (await actions(world))[-1] == "member.joined"


async def test_an_invitation_that_is_over_withdrawn_or_declined_lets_nobody_in(
    world: World, orgs: Organizations
) -> None:
    await world.execute("UPDATE smm.organizations SET plan = 'pro'")
    rui = await a_user(world)
    invited = await orgs.invite_member(owner(world), email="rui@fora.example", role=Role.EDITOR)
    foreign = Context(str(world.stranger.organization_id), str(world.stranger.owner_id))
    with pytest.raises(UnknownSubject):
        await orgs.withdraw_invitation(foreign, invited)
    await world.execute("UPDATE smm.invitations SET expires_at = now()")
    assert await orgs.my_invitations(rui) == []
    with pytest.raises(UnknownSubject):
        await orgs.accept_invitation(rui, invited)
    assert await orgs.invite_member(owner(world), email="rui@fora.example", role=Role.EDITOR) == invited
    await orgs.withdraw_invitation(owner(world), invited)
    with pytest.raises(UnknownSubject):
        await orgs.accept_invitation(rui, invited)
    declined = await orgs.invite_member(owner(world), email="rui@fora.example", role=Role.EDITOR)
    await orgs.decline_invitation(rui, declined)
    assert await orgs.list_invitations(owner(world)) == []
    assert len(await orgs.list_members(owner(world))) == 2


async def test_the_plan_counts_members_and_open_invitations(world: World, orgs: Organizations) -> None:
    with pytest.raises(PlanLimit, match="allows 2 members"):  # an owner and an author already
        await orgs.invite_member(owner(world), email="rui@fora.example", role=Role.VIEWER)
    await world.execute("UPDATE smm.organizations SET plan = 'pro'")
    results = await asyncio.gather(
        *(orgs.invite_member(owner(world), email=f"u{n}@fora.example", role=Role.VIEWER) for n in range(12)),
        return_exceptions=True,
    )
    assert sum(isinstance(result, PlanLimit) for result in results) == 4
    await world.execute("UPDATE smm.organizations SET plan = 'free'")
    guest = await a_user(world, (await orgs.list_invitations(owner(world)))[0].email)
    [invited] = await orgs.my_invitations(guest)
    with pytest.raises(PlanLimit):  # the plan has become smaller since
        await orgs.accept_invitation(guest, invited.invitation_id)
    assert await orgs.my_invitations(guest) == [invited]


async def test_nobody_decides_about_those_above(world: World, orgs: Organizations) -> None:
    admin = await joined(world, Role.ADMIN)
    with pytest.raises(Forbidden):
        await orgs.remove_member(admin, world.tenant.owner_id)
    with pytest.raises(Forbidden):
        await orgs.change_role(admin, world.tenant.owner_id, Role.VIEWER)
    with pytest.raises(Forbidden):
        await orgs.change_role(admin, world.tenant.author_id, Role.OWNER)
    with pytest.raises(Forbidden):
        await orgs.invite_member(admin, email="eva@fora.example", role=Role.OWNER)
    await orgs.change_role(admin, world.tenant.author_id, Role.VIEWER)
    await orgs.remove_member(admin, world.tenant.author_id)
    with pytest.raises(UnknownSubject):
        await orgs.remove_member(admin, world.stranger.owner_id)
    assert (await actions(world))[-2:] == ["member.role_changed", "member.removed"]


async def test_the_last_owner_stays(world: World, orgs: Organizations) -> None:
    me = owner(world)
    for call in (
        orgs.leave_organization(me),
        orgs.remove_member(me, world.tenant.owner_id),
        orgs.change_role(me, world.tenant.owner_id, Role.ADMIN),
    ):
        with pytest.raises(LastOwner):
            await call
    await orgs.change_role(me, world.tenant.author_id, Role.OWNER)
    results = await asyncio.gather(
        orgs.leave_organization(me), orgs.leave_organization(world.tenant.context), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["LastOwner", "NoneType"]


async def test_a_member_who_left_has_nothing_to_say(world: World, orgs: Organizations) -> None:
    await orgs.leave_organization(world.tenant.context)
    with pytest.raises(NotAMember):
        await orgs.authorize(world.tenant.context, Right.VIEW)
    with pytest.raises(NotAMember):
        await orgs.leave_organization(world.tenant.context)


async def test_an_organization_is_changed_by_those_who_may(world: World, orgs: Organizations) -> None:
    await orgs.change_organization(owner(world), name="Aurora Doces", timezone="Europe/Lisbon", locale="en")
    await orgs.change_organization(owner(world), retry_after_reconnect=True)
    [found] = await orgs.list_organizations(owner(world))
    assert (found.name, found.timezone, found.locale, found.retry_after_reconnect) == (
        "Aurora Doces",
        "Europe/Lisbon",
        "en",
        True,
    )
    with pytest.raises(Forbidden):
        await orgs.change_organization(world.tenant.context, name="mine")


async def test_a_deleted_account_leaves_no_invitation_with_its_address(world: World, orgs: Organizations) -> None:
    await world.execute("UPDATE smm.organizations SET plan = 'pro'")
    rui = await a_user(world)
    await orgs.invite_member(owner(world), email="rui@fora.example", role=Role.VIEWER)
    await world.app.identity.request_account_deletion(rui)
    await world.execute("UPDATE smm.account_deletions SET due_at = requested_at")
    await world.work()
    await world.make_due()
    await world.work()
    [user] = await world.rows("SELECT status FROM smm.users WHERE id::text = :id", id=rui.user_id)
    assert user.status == "anonymized"
    assert await world.rows("SELECT FROM smm.invitations") == []
