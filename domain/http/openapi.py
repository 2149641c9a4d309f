"""The description of the API: FastAPI writes it from the routes, and this adds what holds for many of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fastapi.openapi.utils import get_openapi

from domain.http.edge import REQUEST_ID
from domain.http.keyed import HEADER, PATTERN, REPLAYED, KeyedRoute
from domain.http.problems import MEDIA_TYPE, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI
    from fastapi.routing import APIRoute

TAGS: Final = (
    ("service", "Health, and stored objects by signed links."),
    ("identity", "Signing up, in and out; links by e-mail."),
    ("me", "What is the caller's own."),
    ("organizations", "Who founded them, and who belongs to them."),
    ("posts", "What is to be said, and when."),
    ("publications", "One post on one account: its state, comments and numbers."),
    ("media", "Files, their scan and their small pictures."),
    ("accounts", "Accounts on the networks."),
    ("reports", "Tables of what happened, as PDF or CSV."),
    ("webhooks", "Where an organization wants to be told of events."),
    ("billing", "Paying, on Stripe's own pages."),
    ("stripe", "What Stripe posts to us."),
    ("pages", "Where mailed links lead: for browsers."),
    ("operations", "What only operators of the platform may do."),
)
_REF: Final = {"$ref": "#/components/schemas/Problem"}
_MEANINGS: Final = {
    "400": "The body cannot be read, or is not from whom it says.",
    "401": "There is no session, or it is over.",
    "403": "The role, or the state of the organization or account, does not allow it.",
    "404": "There is no such thing here, or it is not yours.",
    "409": "The state does not allow it, or a request with this key is at work.",
    "413": "The body is too long.",
    "422": "Something that was sent is not valid, or the key was sent with another request.",
    "500": "Our mistake.",
    "502": "Another system failed.",
    "503": "Another system does not work; try again later.",
}


def describe(app: FastAPI, routes: Mapping[str, APIRoute]) -> dict[str, Any]:
    """Return the OpenAPI document, made once."""
    if app.openapi_schema is not None:
        return app.openapi_schema
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        tags=[{"name": name, "description": text} for name, text in TAGS],
    )
    schemas = document["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= problem.pop("$defs", {}) | {"Problem": problem}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            _complete(path, operation, routes[operation["operationId"]])
    app.openapi_schema = document
    return document


def _complete(path: str, operation: dict[str, Any], route: APIRoute) -> None:
    responses = operation["responses"]
    keyed = isinstance(route, KeyedRoute) and route.keyed
    if isinstance(route, KeyedRoute) and route.keyed and route.outside:
        responses.setdefault("502", {"description": _MEANINGS["502"]})
    if keyed:
        operation.setdefault("parameters", []).append(_KEY)
    for status in sorted(_errors(path, operation, keyed=keyed)):
        responses.setdefault(status, {"description": _MEANINGS[status]})
    for status, response in responses.items():
        headers = response.setdefault("headers", {})
        headers[REQUEST_ID.decode().title()] = _ID
        if status >= "400":
            page = {kind: each for kind, each in response.get("content", {}).items() if kind == "text/html"}
            response["content"] = page | {MEDIA_TYPE: {"schema": _REF}}
        elif keyed:
            headers[REPLAYED] = _REPLAYED
        if status == "401":
            headers["WWW-Authenticate"] = {"schema": {"type": "string"}}
        if status in ("429", "503"):
            headers["Retry-After"] = {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}


def _errors(path: str, operation: dict[str, Any], *, keyed: bool) -> set[str]:
    """Return what can go wrong with such an operation."""
    found = {"500", "503"}
    found |= {"401", "403"} if operation.get("security") else set()
    found |= {"404"} if "_id}" in path else set()
    found |= {"400", "413"} if "requestBody" in operation else set()
    found |= {"422"} if "requestBody" in operation or operation.get("parameters") else set()
    return found | ({"409", "422"} if keyed else set())


_KEY: Final = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "A new one for each new request; a repeat with the same key within 24 hours does nothing and is "
    "answered as the first.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": PATTERN},
    "example": "0197c1de-5f0a-7c3e-9a52-6f3f0f5c9d11",
}
_ID: Final = {
    "description": "The id of this request, and of everything that follows from it.",
    "schema": {"type": "string", "format": "uuid"},
}
_REPLAYED: Final = {
    "description": "This is the answer of an earlier request with the same key.",
    "schema": {"type": "string", "enum": ["true"]},
}
