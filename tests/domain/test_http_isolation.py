"""Nobody reaches another tenant's things: asked of every route that there is, by what the router says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from domain.http.application import routes
from tests.domain.api import refused

if TYPE_CHECKING:
    from fastapi.routing import APIRoute

    from tests.domain.api import Api

pytestmark = pytest.mark.anyio

SCOPED = sorted(name for name, route in routes().items() if "{organization_id}" in route.path)
WITH_ID = [name for name in SCOPED if len(re.findall("{", routes()[name].path)) > 1]
# Bodies that are valid, so that nothing but the tenant can be the reason.
BODIES: dict[str, dict[str, Any]] = {
    "schedule_post": {"body": "olá", "scheduled_at": "2026-01-01T00:00:00Z", "account_ids": [str(UUID(int=1))]},
    "request_report": {"kind": "audience", "format": "csv", "period_start": "2026-01-01", "period_end": "2026-01-02"},
    "change_organization": {"name": "x"},
    "start_checkout": {"plan": "pro"},
    "start_connecting": {"provider": "linkedin"},
    "connect_with_password": {"identifier": "a.example", "password": "x"},
    "change_role": {"role": "viewer"},
    "invite_member": {"email": "x@example.com", "role": "viewer"},
    "create_webhook_endpoint": {"url": "https://example.com/"},
    "replay_webhook_deliveries": {"since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"},
}
# What the path names, and how an id of the first tenant's is found.
IDS = {
    "post_id": "SELECT id FROM smm.posts WHERE organization_id = :o",
    "publication_id": "SELECT id FROM smm.scheduled_posts WHERE organization_id = :o",
    "media_id": "SELECT id FROM smm.media WHERE organization_id = :o",
    "account_id": "SELECT id FROM smm.social_accounts WHERE organization_id = :o",
    "report_id": "SELECT id FROM smm.reports WHERE organization_id = :o",
    "user_id": "SELECT user_id AS id FROM smm.memberships WHERE organization_id = :o",
    "invitation_id": "SELECT id FROM smm.invitations WHERE organization_id = :o",
    "notice_id": "SELECT id FROM smm.notifications WHERE organization_id = :o",
    "endpoint_id": "SELECT id FROM smm.webhook_endpoints WHERE organization_id = :o",
}


def sent(route: APIRoute) -> dict[str, Any]:
    """What goes with a request so that only the path can be wrong."""
    if route.name == "upload_media":
        return {"params": {"filename": "a.png"}, "content": b"\x89PNG\r\n\x1a\n"}
    return {"json": BODIES[route.name]} if route.name in BODIES else {}


def method_of(route: APIRoute) -> str:
    return next(iter(route.methods or ()))


async def things(api: Api) -> dict[str, str]:
    """One of everything that the first tenant can have."""
    world, organization = api.world, api.world.tenant.organization_id
    await world.schedule()
    await world.execute(
        """INSERT INTO smm.media (id, organization_id, uploaded_by, storage_key, filename, declared_type, byte_size)
           VALUES (gen_random_uuid(), :o, :u, 'media/a', 'a.png', 'image/png', 8)""",
        o=organization,
        u=world.tenant.owner_id,
    )
    await world.execute(
        """INSERT INTO smm.reports (id, organization_id, requested_by, kind, format, period_start, period_end, as_of)
           VALUES (gen_random_uuid(), :o, :u, 'audience', 'csv', '2026-01-01', '2026-01-02', now())""",
        o=organization,
        u=world.tenant.owner_id,
    )
    await world.execute(
        """INSERT INTO smm.invitations (id, organization_id, email, role, invited_by, expires_at)
           VALUES (gen_random_uuid(), :o, 'x@x.example', 'viewer', :u, now() + interval '1 day')""",
        o=organization,
        u=world.tenant.owner_id,
    )
    await world.execute(
        """INSERT INTO smm.notifications (id, organization_id, user_id, kind, dedupe_key, title)
           VALUES (gen_random_uuid(), :o, :u, 'report_ready', 'k', 'Pronto')""",
        o=organization,
        u=world.tenant.owner_id,
    )
    await world.app.integration.register_endpoint(world.tenant.context, f"{world.receiver.url}/hook")
    return {name: str((await world.rows(query, o=organization))[0].id) for name, query in IDS.items()}


def test_every_id_in_a_path_has_its_query() -> None:
    named = {name for route in routes().values() for name in re.findall(r"{(\w+)}", route.path)}
    assert named - {"organization_id", "subject_id"} == set(IDS)


async def test_a_strangers_organization_does_not_exist(api: Api) -> None:
    ids = await things(api)
    for name in SCOPED:
        route = routes()[name]
        path = route.path.format(organization_id=api.world.tenant.organization_id, **ids)
        for key in (None, "a-key"):
            answer = await api.ask(method_of(route), path, by=api.world.stranger.owner_id, key=key, **sent(route))
            refused(answer, 404, "not-found")


async def test_a_strangers_things_do_not_exist_in_ones_own_organization(api: Api) -> None:
    ids = await things(api)
    before = await tables(api)
    for name in WITH_ID:
        route = routes()[name]
        path = route.path.format(organization_id=api.world.stranger.organization_id, **ids)
        answer = await api.ask(method_of(route), path, by=api.world.stranger.owner_id, **sent(route))
        refused(answer, 404, "not-found")
    assert await tables(api) == before


async def test_a_post_cannot_name_a_strangers_account_or_file(api: Api) -> None:
    ids, stranger = await things(api), api.world.stranger
    body = BODIES["schedule_post"]
    for changed in (
        {"account_ids": [ids["account_id"]]},
        {"account_ids": [str(stranger.account_id)], "media_ids": [ids["media_id"]]},
    ):
        answer = await api.ask("POST", f"{api.of(stranger)}/posts", by=stranger.owner_id, json=body | changed)
        refused(answer, 422, "invalid-post")


async def test_lists_hold_only_what_is_ones_own(api: Api) -> None:
    await things(api)
    base = api.of(api.world.stranger)
    for kind in ("posts", "publications", "media", "reports", "webhook-endpoints"):
        page = await api.get(f"{base}/{kind}", by=api.world.stranger.owner_id)
        assert page == {"items": [], "next_cursor": None}, kind
    [account] = (await api.get(f"{base}/accounts", by=api.world.stranger.owner_id))["items"]
    assert account["id"] == str(api.world.stranger.account_id)


async def test_every_route_asks_for_a_session_except_those_that_say_so(api: Api) -> None:
    document = api.app.openapi()
    public = {
        operation["operationId"]
        for operations in document["paths"].values()
        for operation in operations.values()
        if "security" not in operation
    }
    assert public == {
        "health",
        "open_file",
        "return_from_stripe",
        "return_to_us",
        "show_invitation",
        "show_password_reset",
        "show_verification",
        "submit_invitation",
        "submit_password_reset",
        "submit_verification",
        "sign_up",
        "verify_email",
        "request_password_reset",
        "reset_password",
        "sign_in",
        "receive_stripe_event",
    }
    for name, route in routes().items():
        if name not in public:
            path = re.sub(r"{\w+}", str(UUID(int=7)), route.path)
            for headers in ({}, {"Authorization": "Bearer nothing"}, {"Authorization": "Basic YTpi"}):
                answer = await api.ask(method_of(route), path, headers=headers)
                refused(answer, 401, "not-signed-in")
                assert answer.headers["WWW-Authenticate"] == "Bearer"


ROLES = ("viewer", "editor", "admin", "owner")
# The lowest role that may; everybody above may as well.
LEAST = {
    "schedule_post": "editor",
    "retry_publication": "editor",
    "upload_media": "editor",
    "request_report": "editor",
    "change_organization": "admin",
    "start_checkout": "owner",
    "open_billing_portal": "owner",
    "start_connecting": "admin",
    "connect_with_password": "admin",
    "disconnect_account": "admin",
    "change_role": "admin",
    "remove_member": "admin",
    "invite_member": "admin",
    "list_invitations": "admin",
    "withdraw_invitation": "admin",
    "create_webhook_endpoint": "admin",
    "list_webhook_endpoints": "admin",
    "get_webhook_endpoint": "admin",
    "delete_webhook_endpoint": "admin",
    "rotate_webhook_secret": "admin",
    "enable_webhook_endpoint": "admin",
    "list_webhook_deliveries": "admin",
    "replay_webhook_deliveries": "admin",
}


async def test_a_role_below_the_one_that_a_route_takes_is_refused(api: Api) -> None:
    ids = await things(api)
    members = {role: await api.member(api.world.tenant, role) for role in ROLES}
    for name in SCOPED:
        route, least = routes()[name], ROLES.index(LEAST.get(name, "viewer"))
        path = route.path.format(organization_id=api.world.tenant.organization_id, **ids)
        for below in ROLES[:least]:
            answer = await api.ask(method_of(route), path, by=members[below], **sent(route))
            assert f"your role here is {below}" in refused(answer, 403, "forbidden")["detail"], name
        if method_of(route) == "GET" and name != "download_report":
            answer = await api.ask("GET", path, by=members[ROLES[least]])
            assert answer.status_code == 200, answer.text


async def tables(api: Api) -> list[Any]:
    """What a refused request must not change."""
    return [
        await api.world.rows("SELECT id, status, updated_at FROM smm.scheduled_posts ORDER BY id"),
        await api.world.rows("SELECT id, secret, status FROM smm.webhook_endpoints ORDER BY id"),
        await api.world.rows("SELECT count(*) FROM pgqueue.all_jobs"),
    ]
