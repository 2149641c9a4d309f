"""Requests made from the description of the API, good and bad, over a real socket.

HTTP_SCHEMA_EXAMPLES=50   that many for each operation, and every boundary of every value: thousands, in some minutes
"""

from __future__ import annotations

import asyncio
import os
import re
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

from domain.http.keyed import HEADER, PATTERN
from tests.domain.serving import serving
from tests.domain.signing_up import an_operator
from tests.domain.test_http_isolation import things

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.domain.api import Api

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(1200 if "HTTP_SCHEMA_EXAMPLES" in os.environ else 120)]
FEW = 2
ENOUGH = 100

# No schema says what these take: states, secrets, servers, zones, addresses, accounts, bytes, periods; nor cursors.
MEANT = {
    "change_email",
    "change_organization",
    "connect_with_password",
    "create_organization",
    "create_webhook_endpoint",
    "enable_webhook_endpoint",
    "finish_connecting",
    "invite_member",
    "receive_stripe_event",
    "replay_webhook_deliveries",
    "request_password_reset",
    "request_report",
    "reset_password",
    "return_to_us",
    "schedule_post",
    "set_notice_preference",
    "sign_up",
    "start_connecting",
    "submit_password_reset",
    "submit_verification",
    "upload_media",
    "verify_email",
}

# The stateful phase follows what requests have created. Of 330 of its own, in 8 s, none created anything, as no schema
# says what these take: links in the description would lead it nowhere.
# Sessions of their own are there to be ended: after that the others would get nothing but 401.
CONFIGURATION = """
seed = 20261125
headers = {{ Authorization = "Bearer {token}" }}
[parameters]
{parameters}
[generation]
deterministic = true
no-shrink = true
max-examples = {examples}
[checks]
positive_data_acceptance.enabled = true
[phases.coverage]
enabled = {coverage}
[phases.stateful]
enabled = false
[[operations]]
include-operation-id = {meant}
checks.positive_data_acceptance.enabled = false
[[operations]]
include-operation-id = "sign_out"
headers = {{ Authorization = "Bearer {another}" }}
[[operations]]
include-operation-id = "request_account_deletion"
headers = {{ Authorization = "Bearer {leaving}" }}
"""


@pytest.mark.long
async def test_nothing_that_can_be_sent_breaks_a_promise_of_the_description(api: Api) -> None:
    world, owner = api.world, api.world.tenant.owner_id
    operator = UUID((await an_operator(world)).user_id)
    await world.execute("UPDATE smm.users SET is_operator = true WHERE id = :id", id=owner)
    ids = {"organization_id": str(world.tenant.organization_id), **await things(api)}
    ids |= {"user_id": str(operator), "subject_id": str(world.stranger.organization_id)}
    another = await api.token(owner)
    api.tokens.clear()
    thorough = int(os.environ.get("HTTP_SCHEMA_EXAMPLES", "0"))
    configured = CONFIGURATION.format(
        examples=thorough or FEW,
        coverage=str(bool(thorough)).lower(),
        meant=sorted(MEANT | _with_cursor(api)),
        token=await api.token(owner),
        another=another,
        leaving=await api.token(world.tenant.author_id),
        parameters="\n".join(f'"path.{name}" = "{value}"' for name, value in ids.items()),
    )
    async with serving(api.app) as url:
        found = await asyncio.to_thread(lambda: list(_failures(url, configured)))
    assert "\n\n".join(found) == ""
    await api.get("/me", by=owner)  # else what came after the session's end was refused unseen


def _with_cursor(api: Api) -> set[str]:
    return {
        operation["operationId"]
        for operations in api.app.openapi()["paths"].values()
        for operation in operations.values()
        if any(each["name"] == "cursor" for each in operation.get("parameters", []))
    }


@schemathesis.hook
def before_call(_: object, case: Any, **__: object) -> None:
    """Give each request a key of its own: the library would send one key with several, which is refused."""
    key = case.headers.get(HEADER)
    if isinstance(key, str) and re.fullmatch(PATTERN, key):
        case.headers[HEADER] = str(uuid4())


def _failures(url: str, configured: str) -> Iterator[str]:
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json", config=SchemathesisConfig.from_str(configured))
    sent = 0
    for event in from_schema(schema).execute():
        match event:
            case events.ScenarioFinished(recorder=recorder):
                sent += len(recorder.interactions)
                yield from _said(recorder)
            case events.NonFatalError() | events.FatalError():
                yield f"the test itself: {event}"
    if sent < ENOUGH:
        yield f"only {sent} requests were made"


def _said(recorder: Any) -> Iterator[str]:
    for checks in recorder.checks.values():
        for check in checks:
            if check.failure_info is not None:
                yield f"{recorder.label} {check.name}: {check.failure_info.failure}\n{check.failure_info.code_sample}"
