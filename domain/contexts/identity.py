"""People and organizations: signing up and in, mails that prove an address, bans, suspensions, leaving."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from domain.gateways.revocation import Revocation
from domain.use_cases.administration.cleanup import CleanupSuspendedOrgs
from domain.use_cases.administration.deletion import BuryAccountDeletion, FindDueDeletions, ProcessAccountDeletion
from domain.use_cases.administration.leaving import CancelAccountDeletion, RequestAccountDeletion
from domain.use_cases.administration.suspension import (
    PauseOrgScheduledPosts,
    ReinstateOrganization,
    ResumeOrgPosts,
    SuspendOrganization,
)
from domain.use_cases.administration.users import BanUser, InvalidateUserSessions, ReinstateUser
from domain.use_cases.choosing import SetPreference
from domain.use_cases.forms import OneOrSweep
from domain.use_cases.identity.links import Links
from domain.use_cases.identity.mails import BuryLink, SendLink
from domain.use_cases.identity.passwords import Passwords
from domain.use_cases.identity.registering import ChangeEmail, RegisterUser, VerifyEmail
from domain.use_cases.identity.resetting import RequestPasswordReset, ResetPassword
from domain.use_cases.identity.sessions import Authenticate, SignIn, SignOut

if TYPE_CHECKING:
    from uuid import UUID

    from domain.contexts import Parts
    from domain.use_cases.mailing import Mailing


@dataclass(frozen=True, slots=True)
class Identity:
    """The use cases of this context."""

    register_user: RegisterUser
    change_email: ChangeEmail
    set_preference: SetPreference
    verify_email: VerifyEmail
    request_password_reset: RequestPasswordReset
    reset_password: ResetPassword
    sign_in: SignIn
    sign_out: SignOut
    authenticate: Authenticate
    send_verification_email: SendLink
    send_password_reset: SendLink
    bury_link: BuryLink
    ban_user: BanUser
    reinstate_user: ReinstateUser
    invalidate_user_sessions: InvalidateUserSessions
    suspend_organization: SuspendOrganization
    reinstate_organization: ReinstateOrganization
    pause_org_scheduled_posts: PauseOrgScheduledPosts
    cleanup_suspended_orgs: CleanupSuspendedOrgs
    request_account_deletion: RequestAccountDeletion
    cancel_account_deletion: CancelAccountDeletion
    process_account_deletion: OneOrSweep[UUID]
    bury_account_deletion: BuryAccountDeletion


def identity(parts: Parts, mailing: Mailing) -> Identity:
    """Put the context together."""
    units, configuration = parts.units, parts.configuration
    passwords = Passwords(configuration.password_cost)
    links = Links(parts.vault, configuration.mail_key, configuration.base_url)
    revocation = Revocation(parts.outside, parts.breakers, deadline=configuration.network_deadline)
    return Identity(
        register_user=RegisterUser(units, passwords, links),
        change_email=ChangeEmail(units, passwords, links),
        set_preference=SetPreference(units),
        verify_email=VerifyEmail(units, links),
        request_password_reset=RequestPasswordReset(units, links),
        reset_password=ResetPassword(units, passwords, links),
        sign_in=SignIn(units, passwords, parts.vault),
        sign_out=SignOut(units),
        authenticate=Authenticate(units),
        send_verification_email=SendLink(units, links, mailing, "verify_email"),
        send_password_reset=SendLink(units, links, mailing, "reset_password"),
        bury_link=BuryLink(mailing),
        ban_user=BanUser(units),
        reinstate_user=ReinstateUser(units),
        invalidate_user_sessions=InvalidateUserSessions(units),
        suspend_organization=SuspendOrganization(units),
        reinstate_organization=ReinstateOrganization(units),
        pause_org_scheduled_posts=PauseOrgScheduledPosts(units, ResumeOrgPosts(units)),
        cleanup_suspended_orgs=CleanupSuspendedOrgs(units),
        request_account_deletion=RequestAccountDeletion(units),
        cancel_account_deletion=CancelAccountDeletion(units),
        process_account_deletion=OneOrSweep(
            ProcessAccountDeletion(units, parts.vault, revocation, mailing), FindDueDeletions(units)
        ),
        bury_account_deletion=BuryAccountDeletion(units),
    )
