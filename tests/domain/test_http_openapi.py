"""The description of the API is complete, and the page about it says the same."""

from __future__ import annotations

import re
from typing import Any

import pytest

from domain.http.application import create_app, routes
from domain.http.openapi import TAGS

DOCUMENT = create_app().openapi()
OPERATIONS = [
    pytest.param(path, method, operation, id=operation["operationId"])
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
]
PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


def test_every_route_is_described() -> None:
    described = {operation.values[2]["operationId"] for operation in OPERATIONS}  # type: ignore[index] # a dict
    assert described == set(routes())


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_an_operation_lacks_nothing(path: str, method: str, operation: dict[str, Any]) -> None:
    assert re.fullmatch("[a-z]+(_[a-z]+)*", operation["operationId"])
    assert operation["summary"]
    assert operation["description"].rstrip().endswith(".")
    [tag] = operation["tags"]
    assert tag in dict(TAGS)
    for parameter in operation.get("parameters", []):
        assert parameter["schema"], parameter
    answers = operation["responses"]
    assert [status for status in answers if status.startswith("2")]
    assert {"500", "503"} <= set(answers)
    for status, answer in answers.items():
        assert answer["description"], status
        assert "X-Request-Id" in answer["headers"]
        if status >= "400":
            shown = tag == "pages" or operation["operationId"] == "return_to_us"
            page = {"text/html": {"schema": {"type": "string"}}} if shown else {}
            assert answer["content"] in (PROBLEM, page | PROBLEM)
        elif status != "204":
            assert all(each["schema"] for each in answer["content"].values())


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_an_operation_says_what_can_be_refused(path: str, method: str, operation: dict[str, Any]) -> None:
    answers = set(operation["responses"])
    if "security" in operation:
        assert operation["security"] == [{"session": []}]
        assert {"401", "403"} <= answers
    if "{organization_id}" in path:
        assert {"403", "404"} <= answers
    if method != "get":
        named = {parameter["name"] for parameter in operation.get("parameters", [])}
        assert ("Idempotency-Key" in named) == ("security" in operation and operation["operationId"] != "sign_out")
    if "requestBody" in operation:
        assert {"400", "413", "422"} <= answers


def test_the_scheme_is_a_bearer_token() -> None:
    assert DOCUMENT["components"]["securitySchemes"]["session"]["scheme"] == "bearer"


def test_objects_that_clients_send_are_closed() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    sent = {
        found.group(1)
        for operation in OPERATIONS
        for found in re.finditer(
            r"#/components/schemas/(\w+)",
            str(operation.values[2].get("requestBody", "")),  # type: ignore[union-attr] # a dict
        )
    }
    assert sent
    assert [name for name in sent if schemas[name].get("additionalProperties") is not False] == []
