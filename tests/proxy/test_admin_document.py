"""The operators' port against what it says of itself: it has those routes, and answers as the document says."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.schemas import APIOperation
from starlette.routing import Route

from proxy.admin import DOCUMENT
from shadow.journal import MemoryJournal
from shadow.mismatch import identity
from tests.proxy.test_admin import ROUTES, Port, finding

EXAMPLES = 12
MISMATCH = identity(ROUTES[0], "data.name", "value")
BEYOND_A_SCHEMA = {"beginRamp"}  # that each share is above the one before
SCHEMA = schemathesis.openapi.from_dict(yaml.safe_load(DOCUMENT.read_text(encoding="utf-8")))
Operation = APIOperation[Any, Any, Any, Any]
OPERATIONS: list[Operation] = [found.ok() for found in SCHEMA.get_all_operations()]


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def port(loop: asyncio.Runner) -> Port:
    async def begun() -> Port:
        journal = MemoryJournal()
        await journal.record(finding(ROUTES[0], 1))
        port = Port(journal=journal)
        await port.loop.refresh()
        return port

    return loop.run(begun())


def can_be_wrong(operation: Operation) -> bool:
    """Whether there is anything in a request of it that the document would not allow."""
    raw = operation.definition.raw
    return "{" in operation.path or bool(raw.get("parameters") or raw.get("requestBody"))


def asked(operation: Operation, case: Case, route: str) -> dict[str, Any]:
    """The request, about a route and a mismatch that there are if `route` names one."""
    path = operation.path
    for name, value in case.path_parameters.items():
        known = MISMATCH if route and name == "id" else route
        path = path.replace(f"{{{name}}}", known or quote(str(value), safe="") or "-")
    query = {name: value if isinstance(value, str) else json.dumps(value) for name, value in case.query.items()}
    if route and "route" in query:
        query["route"] = route
    body = b"" if isinstance(case.body, schemathesis.core.NotSet) else case.body
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {name: value.encode("utf-8", "replace") for name, value in (case.headers or {}).items() if value}
    return {"url": path, "params": query, "content": content, "headers": headers}


async def answered(port: Port, operation: Operation, request: dict[str, Any]) -> httpx.Response:
    if operation.path == "/events":
        return await port.listened(headers=request["headers"])
    return await port.client.request(operation.method.upper(), **request)


def assert_described(operation: Operation, answer: httpx.Response) -> None:
    responses = operation.definition.raw["responses"]
    assert str(answer.status_code) in responses, f"{answer.status_code} {answer.text}"
    answer.elapsed = timedelta()  # which httpx would measure
    operation.validate_response(answer)


def test_the_document_is_valid() -> None:
    SCHEMA.validate()


def test_the_document_has_the_routes_of_the_port(port: Port) -> None:
    served = {
        (method, re.sub(r"{(\w+):\w+}", r"{\1}", route.path))
        for route in port.admin.app.routes
        if isinstance(route, Route)
        for method in route.methods or ()
        if method != "HEAD"
    }
    assert {(operation.method.upper(), operation.path) for operation in OPERATIONS} == served


async def test_the_port_serves_the_document() -> None:
    _, told = await Port().ask("GET", "/openapi.json")
    assert told == yaml.safe_load(DOCUMENT.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("operation", "mode"),
    [
        *((operation, GenerationMode.POSITIVE) for operation in OPERATIONS),
        *((operation, GenerationMode.NEGATIVE) for operation in OPERATIONS if can_be_wrong(operation)),
    ],
    ids=lambda value: value.label if isinstance(value, APIOperation) else value.name.lower(),
)
def test_requests_are_answered_as_the_document_says(
    operation: Operation, mode: GenerationMode, port: Port, loop: asyncio.Runner
) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],  # what was ordered stays ordered: nothing can be shrunk by asking again
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data(), route=st.sampled_from(["", *ROUTES]))
    def ask(data: st.DataObject, route: str) -> None:
        case = data.draw(operation.as_strategy(mode))
        request = asked(operation, case, route)
        answer = loop.run(answered(port, operation, request))
        assert_described(operation, answer)
        if mode is GenerationMode.POSITIVE and operation.definition.raw["operationId"] not in BEYOND_A_SCHEMA:
            assert answer.status_code != 400, f"the document allows {request}: {answer.text}"

    ask()
