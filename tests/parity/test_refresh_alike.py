from __future__ import annotations

from typing import Any

import pytest

from tests.parity.sides import Case, Sides
from tests.parity.tables import bodies, given, table

REFRESH, LOGOUT = "/auth/refresh", "/auth/logout"


def of_tokens(target: str, unknown: int) -> list[Case]:
    """Tokens that nobody was given, and requests that show none."""

    def post(name: str, status: int, token: str | None = None, **fields: Any) -> Case:
        return Case(f"{target}: {name}", status, target, "POST", token, given(**fields))

    faulty = {
        "null": None,
        "empty": "",
        "a number": 5,
        "a boolean": False,
        "a list": ["x"],
        "an object": {"a": 1},
        "a NUL": "a\0",
        "a NUL alone": "\0",
    }
    strange = {
        "of the right form": "x" * 43,
        "white space": " ",
        "a wildcard": "*",
        "a line end": "x\r\nDEL y",
        "a key": "refresh:token:x",
        "emoji": "🎉",
        "a noncharacter": "\uffff",
        "very long": "x" * 500_000,
        "a number in text": "2",
    }
    good = given(refreshToken="unknown")
    return [
        *(post(name, 400, refreshToken=value) for name, value in faulty.items()),
        *(post(name, unknown, refreshToken=value) for name, value in strange.items()),
        post("in snake case", 400, refresh_token="x"),
        post("inside another field", 400, session={"refreshToken": "x"}),
        post("with other fields", unknown, refreshToken="x", email=[], x={}),
        post("with a bad access token", unknown, "expired", refreshToken="x"),
        post("with a good access token", unknown, "agent", refreshToken="x"),
        Case(f"{target}: in the query", 400, f"{target}?refreshToken=x", "POST", None, b"{}"),
        Case(f"{target}: as bearer", 400, target, "POST", "agent", b"{}"),
        Case(f"{target}: repeated", unknown, target, "POST", None, b'{"refreshToken":5,"refreshToken":"x"}'),
        Case(f"{target}: repeated, the last none", 400, target, "POST", None, b'{"refreshToken":"x","refreshToken":5}'),
        Case(f"{target}: trailing slash", unknown, f"{target}/", "POST", None, good),
        Case(f"{target}: extension", 404, f"{target}.json", "POST", None, good),
        Case(f"{target}: DELETE", 404, target, "DELETE", None, good),
    ]


@table([*of_tokens(REFRESH, 401), *of_tokens(LOGOUT, 200)])
def test_tokens_that_nobody_was_given_are_answered_alike(case: Case, sides: Sides) -> None:
    sides.compare(case)


@pytest.mark.parametrize(("target", "unknown"), [(REFRESH, 401), (LOGOUT, 200)])
def test_bodies_of_every_kind_are_read_alike(target: str, unknown: int, sides: Sides) -> None:
    for case in bodies(target, given(refreshToken="x"), None, unknown):
        sides.compare(case)
