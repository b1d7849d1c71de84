"""The OpenAPI document: its operations, requests made from it, and whether an answer is one that it describes."""

from __future__ import annotations

import hmac
import json
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import schemathesis
import yaml
from hypothesis import strategies as st
from schemathesis import Case as Generated
from schemathesis import GenerationMode
from schemathesis.schemas import APIOperation, BaseSchema

from demo.stack import Application
from tests.parity.sides import Case, Reply
from tests.parity.stage import AWKWARD, ELSEWHERE, SILENT, TIED, WRITTEN_TO
from tests.parity.tables import HIGHEST, cursor

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "openapi.yaml"

# What no schema knows: the rows that there are, so that requests find some.
ROWS = st.one_of(
    st.sampled_from([1, 2, 3, 5, 6, 16, 432, AWKWARD, ELSEWHERE, SILENT, WRITTEN_TO, *TIED, HIGHEST]),
    st.integers(1, 2_000),
)
E_MAILS = st.sampled_from(["agent1@acme.example", " AGENT2@acme.example\t", "admin@globex.example"])
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "conversationId": ROWS,
    "assigneeId": ROWS,
    "email": E_MAILS,
    "refreshToken": st.sampled_from(["unknown", "A" * 43]),
    "password": st.sampled_from(["password", "wrong", "p" * 73]),
}
TOKENS = st.sampled_from(["agent"] * 12 + ["admin"] * 6 + ["stranger"] * 3 + ["gone", "user of another account", None])

Operation = APIOperation[Any, Any, Any, Any]
DEFAULTS = Application("", "")
KEYS = {
    GenerationMode.POSITIVE: st.one_of(st.none(), st.sampled_from(["a", "b", "c"]), st.text("xyz/~!", min_size=1)),
    GenerationMode.NEGATIVE: st.one_of(st.none(), st.text("xyz/~ \té", max_size=6), st.just("x" * 256)),
}

schemathesis.openapi.format("conversation-cursor", st.builds("{}:{}".format, st.integers(0, 2**52), ROWS).map(cursor))
schemathesis.openapi.format("timezone", st.sampled_from(["Europe/Berlin", "UTC", "America/New_York"]))
schemathesis.openapi.format("message-cursor", st.integers(0, HIGHEST).map(lambda id: cursor(str(id))))


@cache
def document() -> Any:
    return yaml.safe_load(DOCUMENT.read_text(encoding="utf-8"))


@cache
def schema() -> BaseSchema:
    return schemathesis.openapi.from_dict(document())


def operations() -> list[Operation]:
    return [found.ok() for found in schema().get_all_operations()]


@st.composite
def cases(draw: st.DrawFn, operation: Operation, mode: GenerationMode) -> Case:
    """A request that the document allows, or one that it does not, of all callers and often about real rows."""
    generated = draw(operation.as_strategy(mode))
    if "id" in generated.path_parameters and draw(st.booleans()):
        generated.path_parameters["id"] = draw(ROWS)
    if "hub.verify_token" in generated.query and draw(st.booleans()):
        generated.query["hub.verify_token"] = DEFAULTS.facebook_verify_token
    if isinstance(generated.body, dict):
        for name in VALUES.keys() & generated.body.keys():
            # A request must stay one that the document does not allow: so there only some are made real.
            if mode is GenerationMode.POSITIVE or draw(st.booleans()):
                generated.body[name] = draw(VALUES[name])
    token = draw(TOKENS) if operation.definition.raw.get("security") != [] else None
    case = written(operation, generated, token, ascii_only=draw(st.booleans()))
    match operation.definition.raw["operationId"]:
        case "createMessage":
            return with_header(case, "Idempotency-Key", draw(KEYS[mode]))
        case "receiveWebhook" if draw(st.booleans()):
            return with_header(case, "X-Hub-Signature-256", "sha256=" + "0" * 64)
        case "receiveWebhook":
            digest = hmac.digest(DEFAULTS.facebook_app_secret.encode(), case.body or b"", "sha256")
            return with_header(case, "X-Hub-Signature-256", f"sha256={digest.hex()}")
    return case


def with_header(case: Case, name: str, value: str | None) -> Case:
    return case if value is None else replace(case, headers=((name, value),))


def written(operation: Operation, generated: Generated, token: str | None, *, ascii_only: bool) -> Case:
    """As it goes over the wire. Lists and objects in a query are spelt as Rails has them."""
    path = operation.path
    for name, value in generated.path_parameters.items():
        path = path.replace(f"{{{name}}}", quote(as_text(value), safe=""))
    query = urlencode([pair for name, value in generated.query.items() for pair in pairs(name, value)])
    body = generated.body
    if isinstance(body, schemathesis.core.NotSet):
        body = None
    elif not isinstance(body, bytes):
        body = json.dumps(body, ensure_ascii=ascii_only).encode()
    return Case(
        operation.label.partition(" ")[2],
        0,
        f"{path}?{query}" if query else path,
        operation.method.upper(),
        token,
        body,
        generated.media_type,
    )


def pairs(name: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, list):
        return [pair for each in value for pair in pairs(f"{name}[]", each)]
    if isinstance(value, dict):
        return [pair for key, each in value.items() for pair in pairs(f"{name}[{key}]", each)]
    return [(name, as_text(value))]


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def assert_described(operation: Operation, reply: Reply) -> None:
    """The document has this status for this operation, with such headers and such a body."""
    responses = operation.definition.raw["responses"]
    answered = f"{operation.label} answered {reply}"
    assert str(reply.status) in responses or reply.status >= 500, f"the document does not have that status: {answered}"
    described = resolved(responses.get(str(reply.status)) or responses["default"])
    needed = {name.lower() for name, header in described.get("headers", {}).items() if resolved(header).get("required")}
    assert needed <= reply.headers.keys(), f"a header is missing: {answered}"
    media_type = reply.headers.get("content-type", "").partition(";")[0]
    assert media_type in described.get("content", {"": None}), f"the body is of another type: {answered}"
    asked = httpx.Request(operation.method, "http://side")
    headers = {name: value for name, value in reply.headers.items() if name != "transfer-encoding"}
    response = httpx.Response(reply.status, headers=headers, content=reply.body, request=asked)
    response.elapsed = timedelta()  # which httpx would measure
    operation.validate_response(response)


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    """A part of the document, or what it refers to."""
    if "$ref" not in part:
        return part
    found = document()
    for name in part["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return found
