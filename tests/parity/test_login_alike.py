from __future__ import annotations

from typing import Any

from tests.parity.sides import Case, Sides
from tests.parity.tables import bodies, given, table

LOGIN = "/auth/login"


def of_login() -> list[Case]:
    """Those that sign nobody in, and are answered alike to the byte."""
    email, password = "agent1@acme.example", "password"
    good = given(email=email, password="wrong")

    def post(name: str, status: int, **fields: Any) -> Case:
        return Case(name, status, LOGIN, "POST", None, given(**fields))

    values = {
        "null": None,
        "empty": "",
        "a number": 5,
        "a boolean": True,
        "a list": [email],
        "an object": {"a": 1},
        "a NUL": "a\0",
    }
    wrong = {
        "wrong password": (email, "Password"),
        "unknown e-mail": ("nobody@acme.example", password),
        "white space as password": (email, " "),
        "space after the password": (email, "password "),
        "white space as e-mail": (" ", password),
        "no e-mail": ("agent1", password),
        "a wildcard": ("agent%", password),
        "SQL": ("' or 1=1 --", password),
        "73 bytes": (email, "x" * 73),
        "very long": (email, "x" * 100_000),
        "the right one and 72 more": (email, password + "x" * 72),
        "very long e-mail": ("a" * 10_000, password),
        "emoji": (email, "🎉" * 19),
        "no-break space around": (f"\u00a0{email}", password),
        "hash": (email, "$2a$04$everyoneofthedemoseedeeJ1vnnT4ul6XtNtBiuXnnCbbaJIK9xa"),
    }
    return [
        *(post(f"email {name}", 400, email=value, password=password) for name, value in values.items()),
        *(post(f"password {name}", 400, email=email, password=value) for name, value in values.items()),
        *(post(name, 401, email=one, password=two) for name, (one, two) in wrong.items()),
        post("no email", 400, password=password),
        post("no password", 400, email=email),
        post("every fault at once", 400, email=1, password=None),
        post("fields in upper case", 400, EMAIL=email, PASSWORD=password),
        post("fields inside another", 400, user={"email": email, "password": password}),
        Case("parameters in the query", 400, f"{LOGIN}?email={email}&password={password}", "POST", None, b"{}"),
        Case("form", 415, LOGIN, "POST", None, b"email=a&password=b", media_type="application/x-www-form-urlencoded"),
        Case("with a bad token", 401, LOGIN, "POST", "expired", good),
        Case("trailing slash", 401, f"{LOGIN}/", "POST", None, good),
        Case("extension", 404, f"{LOGIN}.json", "POST", None, good),
        *bodies(LOGIN, good, None, 401),
    ]


@table(of_login())
def test_a_sign_in_that_fails_is_refused_alike(case: Case, sides: Sides) -> None:
    sides.compare(case)
