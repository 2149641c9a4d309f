"""Organizations and who belongs to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from domain.use_cases.organizations.authorizing import Authorize
from domain.use_cases.organizations.founding import (
    ChangeOrganization,
    CreateOrganization,
    GetOrganization,
    ListOrganizations,
)
from domain.use_cases.organizations.invitations import (
    AcceptInvitation,
    DeclineInvitation,
    InviteMember,
    ListInvitations,
    MyInvitations,
    WithdrawInvitation,
)
from domain.use_cases.organizations.members import ChangeRole, LeaveOrganization, ListMembers, RemoveMember

if TYPE_CHECKING:
    from domain.contexts import Parts


@dataclass(frozen=True, slots=True)
class Organizations:
    """The use cases of this context."""

    authorize: Authorize
    create_organization: CreateOrganization
    change_organization: ChangeOrganization
    get_organization: GetOrganization
    list_organizations: ListOrganizations
    list_members: ListMembers
    change_role: ChangeRole
    remove_member: RemoveMember
    leave_organization: LeaveOrganization
    invite_member: InviteMember
    withdraw_invitation: WithdrawInvitation
    list_invitations: ListInvitations
    my_invitations: MyInvitations
    accept_invitation: AcceptInvitation
    decline_invitation: DeclineInvitation


def organizations(parts: Parts) -> Organizations:
    """Put the context together."""
    units = parts.units
    return Organizations(
        authorize=Authorize(units),
        create_organization=CreateOrganization(units),
        change_organization=ChangeOrganization(units),
        get_organization=GetOrganization(units),
        list_organizations=ListOrganizations(units),
        list_members=ListMembers(units),
        change_role=ChangeRole(units),
        remove_member=RemoveMember(units),
        leave_organization=LeaveOrganization(units),
        invite_member=InviteMember(units, parts.configuration.base_url),
        withdraw_invitation=WithdrawInvitation(units),
        list_invitations=ListInvitations(units),
        my_invitations=MyInvitations(units),
        accept_invitation=AcceptInvitation(units),
        decline_invitation=DeclineInvitation(units),
    )
