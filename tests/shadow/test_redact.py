from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shadow.redact import KEPT, TARGET, line, target, tells_a_secret
from shadow.redact import value as kept

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "null"),
        (True, "true"),
        (12, "12"),
        (Decimal("0.10"), "0.10"),
        ("Jürgen", '"Jürgen"'),
        ([], "[]"),
        ({"id": 1, "tags": ["a"]}, '{"id":1,"tags":["a"]}'),
        ({"a": {"b": {"c": {"d": 1}}}}, '{"a":{"b":{"c":{…}}}}'),
        (list(range(12)), "[0,1,2,3,4,5,6,7,8,9,…]"),
    ],
)
def test_values_are_shown_as_json_in_outline(value: Any, shown: str) -> None:
    assert kept(value) == shown


@pytest.mark.parametrize(
    "path",
    ["data.accessToken", "refresh_token", "user.password", "password_digest", "app.secret", "headers.authorization",
     "headers.set-cookie", "user.email", "user.e-mail", "api_key", "apiKey", "user.email.home[0]", "oauth", "otp",
     "authorisation", "x-csrf", "jwt", "pwd", "userPwd", "user.pass", "passphrase", "pin", "PHPSESSID", "sess_id",
     "sid", "sig", "hmac"],
)  # fmt: skip
def test_a_telling_name_is_known_wherever_it_stands(path: str) -> None:
    assert tells_a_secret(path)


@pytest.mark.parametrize("path", ["data.status", "author", "authority", "data[0].footprint", "headers.etag", "key",
    "code", "status_code", "spinner", "bypass", "side", "signal", "assessment"])  # fmt: skip
def test_a_name_that_only_sounds_like_one_is_not_taken_for_telling(path: str) -> None:
    assert not tells_a_secret(path)


def test_telling_names_inside_a_value_hide_what_they_hold() -> None:
    shown = kept({"user": {"email": "ada@example.org", "tokens": [{"value": "hunter2"}], "name": "Ada"}})
    assert "hunter2" not in shown
    assert "ada@" not in shown
    assert '"name":"Ada"' in shown


@pytest.mark.parametrize(
    "secret",
    [
        *("ada.lovelace@example.org", "ada%40example.org", "ada%2540example.org"),
        *("иван@пример.рф", "müller@example.org", "o'brien@example.org", "%D0%B8%D0%B2%40example.org"),
        *("AIzaSyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY", "sk_live_4eC39HqLyjWDarjtT1zdp7dcXY", "x" * 40),
        *(JWT, JWT.partition(".")[2], f"Bearer {'a1' * 8}", "Basic YTpi"),
    ],
)
@pytest.mark.parametrize("around", ["{}", "see {} please", "({})", "/x?a=1&who={}"])
def test_what_looks_like_a_secret_is_hidden_wherever_it_stands(secret: str, around: str) -> None:
    text = around.format(secret)
    assert secret not in kept(text)
    assert "[redacted]" in kept(text)
    assert secret not in line(f'data["{text}"]')


def test_urls_lose_the_values_of_telling_parameters() -> None:
    assert kept(["/callback?state=1&reset_token=abc#top"]) == '["/callback?state=1&reset_token=[redacted]#top"]'
    assert kept("https://app/l#access_token=hunter2") == '"https://app/l#access_token=[redacted]"'
    assert kept("token=hunter2") == '"token=[redacted]"'


@pytest.mark.parametrize("identity", ["0b6f0f0c-9d5f-4a39-8d4c-1b5f0e7c2a11", "d41d8cd98f00b204e9800998ecf8427e"])
def test_ids_stay_readable(identity: str) -> None:
    assert kept(identity) == f'"{identity}"'
    assert line(f'W/"{identity}"') == f'W/"{identity}"'


@settings(max_examples=40)
@given(
    st.recursive(st.none() | st.integers() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)),
    st.text(),
)
def test_whatever_is_kept_is_short_printable_and_can_be_sent(value: Any, text: str) -> None:
    for shown in (kept(value), line(text)):
        assert len(shown) <= KEPT
        assert shown.isprintable()
        shown.encode()


def test_large_and_deep_values_cost_little() -> None:
    deep: Any = "x" * 10_000_000
    for _ in range(10_000):
        deep = [deep]
    assert kept(deep) == "[[[[…]]]]"
    assert kept("?" * 1_000_000 + "a" * 1_000_000).startswith('"???')
    assert len(kept("a." * 1_000_000)) == KEPT


@pytest.mark.parametrize(
    ("path", "query", "shown"),
    [
        ("/api/v1/conversations", "", "/api/v1/conversations"),
        ("/a%2Fb//c", "status=open&limit=5", "/a%2Fb//c?status=open&limit=5"),
        ("/cable", "token=abc&x=1", "/cable?token=[redacted]&x=1"),
        ("/x", "access%5Ftoken=abc&pass%77ord=1", "/x?access%5Ftoken=[redacted]&pass%77ord=[redacted]"),
        ("/x", "q=ada%40example.org&&novalue", "/x?q=[redacted]&&novalue"),
        ("/users/ada@example.org", "", "/users/[redacted]"),
        ("/password_resets/abc123/edit", "", "/password_resets/[redacted]/edit"),
        ("/api/sessions/", "", "/api/sessions/"),
        (
            "/x",
            "pwd=a1&pass=b2&sig=c3&PHPSESSID=d4&sid=e5&key=f6&code=g7",
            "/x?"
            + "&".join(f"{name}=[redacted]" for name in ("pwd", "pass", "sig", "PHPSESSID", "sid", "key", "code")),
        ),
        ("/x", "to=https%3A%2F%2Fapp%2Freset%3Freset_password_token%3DTOP&a=1", "/x?to=[redacted]&a=1"),
        ("/x", "next=%252Fpassword_resets%252Fabc&q=Bearer%20abc", "/x?next=[redacted]&q=[redacted]"),
        ("/p%61ssword_resets/abc", "", "/p%61ssword_resets/[redacted]"),
        ("/x", "next=%2Fthings%2F7%3Fstatus%3Dopen", "/x?next=%2Fthings%2F7%3Fstatus%3Dopen"),
        ("/x", "country_code=DE&side=left&postcode=10115", "/x?country_code=DE&side=left&postcode=10115"),
        ("/x;jsessionid=abc/y", "", "/x;jsessionid=[redacted]"),
        ("/x", "a=1\x1b[31m", "/x?a=1\\u001b[31m"),
    ],
)
def test_a_target_keeps_its_shape_and_loses_its_secrets(path: str, query: str, shown: str) -> None:
    assert target(path, query) == shown


def test_a_target_is_bounded() -> None:
    assert len(target("/" + "a/" * 10_000, "b=1&" * 10_000)) == TARGET


def test_json_kept_whole_is_json() -> None:
    assert json.loads(kept({"a": [1, "two", None]})) == {"a": [1, "two", None]}
