"""The OpenAPI document against both sides: it has their routes, they answer as it says, and both the same."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from starlette.routing import Route

from demo.stack import LEGACY as RAILS
from demo.stack import Application, rails_environment
from handlers.app import ROUTES
from tests.parity.apart import Apart
from tests.parity.document import Operation, assert_described, cases, operations, schema
from tests.parity.sides import LEGACY, Case
from tests.parity.soaking import part

OPERATIONS = operations()
# Of each operation and mode: with the sequences more than 5 000 requests, and in the soak more than 100 000.
EXAMPLES = 130
COSTLY = {"signIn": 40, "listConversations": 80}  # bcrypt's, and Rails' queries for each row
UNKNOWN_TO_A_SCHEMA = b"must exist"  # the fault of an id that is no row's
# Of Rails alone: whether its process serves.
NOT_OF_THE_API = {("GET", "/up")}


def usual(operation: Operation) -> int:
    number: int = COSTLY.get(operation.definition.raw["operationId"], EXAMPLES)
    return number


def compare(apart: Apart, operation: Operation, mode: GenerationMode, number: int, **changes: Any) -> None:
    """Ask both so many requests."""
    before = apart.asked.total()

    @settings(
        max_examples=number,
        deadline=None,
        database=None,
        phases=[Phase.generate],  # what was written stays written: nothing can be shrunk by asking again
        suppress_health_check=list(HealthCheck),
        **changes,
    )
    @given(case=cases(operation, mode))
    def ask(case: Case) -> None:
        legacy, _ = apart.compare(case)
        assert_described(operation, legacy)
        if mode is GenerationMode.POSITIVE and UNKNOWN_TO_A_SCHEMA not in legacy.body:
            assert legacy.status != 400, f"the document allows {case}, and legacy answered {legacy}"

    ask()
    assert apart.asked.total() - before >= number


def test_the_document_is_valid() -> None:
    schema().validate()


def test_the_document_has_the_routes_of_native() -> None:
    native = {
        (method, re.sub(r"{(\w+):\w+}", r"{\1}", route.path))
        for route in ROUTES
        if isinstance(route, Route)
        for method in route.methods or ()
        if method != "HEAD"
    }
    assert {(operation.method.upper(), operation.path) for operation in OPERATIONS} == native


def test_the_document_has_the_routes_of_rails(own_states: dict[str, Application], tmp_path: Path) -> None:
    code = """
      Rails.application.routes.routes.each do |route|
        puts [route.verb, route.path.spec].join(" ") unless route.internal || route.verb.empty?
      end
    """
    command = ["bundle", "exec", "rails", "runner", code]
    told = subprocess.run(
        command,
        cwd=RAILS,
        env=rails_environment(tmp_path, own_states[LEGACY]),
        capture_output=True,
        text=True,
        check=True,
    )
    # A parameter of a parent resource has its name before it; PUT is Rails' other word for PATCH.
    routes = {
        (verb, re.sub(r":(?:\w+_)?id\b", "{id}", path)) for verb, path in map(str.split, told.stdout.splitlines())
    }
    assert routes - NOT_OF_THE_API == {(operation.method.upper(), operation.path) for operation in OPERATIONS}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["allowed", "not allowed"])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_requests_are_answered_alike_and_as_the_document_says(
    apart: Apart, operation: Operation, mode: GenerationMode
) -> None:
    compare(apart, operation, mode, usual(operation), derandomize=True)


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["allowed", "not allowed"])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_very_many_requests_are_answered_alike(apart: Apart, operation: Operation, mode: GenerationMode) -> None:
    compare(apart, operation, mode, part(10 * usual(operation)))
