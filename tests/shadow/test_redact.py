from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shadow.redact import KEPT, READ, TARGET, line, place, target, tells_a_secret
from shadow.redact import value as kept

TOKEN = "pX27zsMN2ViQKta1bGfLmVJE"  # as of `has_secure_token`: too short to be known by its looks
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
     "sid", "sig", "hmac", "totp", "userOtp", "loginPin", "bearer", "pincode", "recoveryCodes[0]", "mfa_code"],
)  # fmt: skip
def test_a_telling_name_is_known_wherever_it_stands(path: str) -> None:
    assert tells_a_secret(path)


@pytest.mark.parametrize("path", ["data.status", "author", "authority", "data[0].footprint", "headers.etag", "key",
    "code", "status_code", "spinner", "bypass", "side", "signal", "assessment",
    "rightSide", "mapPinned", "postcode"])  # fmt: skip
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
        *(JWT, JWT.partition(".")[2], f"Bearer {'a1' * 8}", "Basic YTpi", "Token a1b2", '"ada smith"@example.org'),
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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"https://h/password_resets/{TOKEN}/edit", "https://h/password_resets/[redacted]/edit"),
        (f"/password_resets/{TOKEN}?a=1", "/password_resets/[redacted]?a=1"),
        (f"/auth/tokens//{TOKEN}", "/auth/[redacted]//[redacted]"),
        (f"to /login?next=%2Ftokens%252f{TOKEN} please", "to /login?next=%2Ftokens%252f[redacted] please"),
        (f"see <https://h/tokens/{TOKEN}> or /users/17", "see <https://h/tokens/[redacted]> or /users/17"),
        ("https://auth.example.org/users/17", "https://auth.example.org/users/17"),
        ("the token is of /users/17", "the token is of /users/17"),
    ],
)
def test_what_follows_a_telling_segment_of_a_path_is_hidden_in_any_text(text: str, shown: str) -> None:
    assert line(text) == shown
    assert json.loads(kept({"url": [text]})) == {"url": [shown]}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("password: hunter2", "password: [redacted]"),
        ('{"a":1,"password":"correct horse","b":2}', '{"a":1,"password":[redacted],"b":2}'),
        (r"{\"password\": \"correct horse\"}", r"{\"password\": [redacted]}"),
        ('{"recoveryCodes": ["abcd", "efgh"]}', '{"recoveryCodes": [redacted]'),
        ("it said: your PIN = 1234, Ada", "it said: your PIN = [redacted] Ada"),
        ("Authorization: Token abc", "Authorization: [redacted]"),
        ("the author: Ada", "the author: Ada"),
        ("Token expired", "Token expired"),
    ],
)
def test_what_a_text_says_to_be_secret_is_hidden(text: str, shown: str) -> None:
    assert json.loads(kept(text)) == shown


ADDRESS = "ada.lovelace.secretly@example.org"


@pytest.mark.parametrize("left", range(1, len(ADDRESS) + 1))
def test_of_a_secret_that_was_cut_nothing_is_left_where_what_stands_before_it_shrank(left: int) -> None:
    """However many of its characters are read."""
    texts = [f"{'A1' * (length // 2)}{' ' * (length % 2)} of {ADDRESS} and" for length in [READ - 4 - left]]
    handed = "…" + "A1" * 100 + " of " + ADDRESS[:left] + "…"  # cut before it came here, too
    for shown in (*map(kept, texts), *map(line, texts), kept(handed)):
        assert " of " in shown
        assert "ada" not in shown
    path = "/" + "A1" * ((READ - 2 - left) // 2) + "/" + "x" * (left % 2) + "/" + ADDRESS
    assert "ada" not in target(path, "")
    query = f"f={'A1' * 250}&{'a' * (READ - 507 - left)}&who=Ada+{ADDRESS}"
    assert "Ada" not in target("/x", query)


def test_what_the_cut_front_of_a_text_may_have_told_of_is_hidden() -> None:
    assert kept(f"…word_resets/{TOKEN}/edit, and then") == '"… and then"'


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (f"tokens.{TOKEN}.lastUsed", "tokens.[redacted].lastUsed"),
        (f'data.tokens["{TOKEN} x"].lastUsed[3].home_address2', 'data.tokens["[redacted]"].lastUsed[3].home_address2'),
        ("otp.123456[0]", "otp.[redacted][0]"),
        ("session.user.expiresAt", "session.user.expiresAt"),
        ("sessions[*].userID", "sessions[*].userID"),
        (f"data.{TOKEN}", f"data.{TOKEN}"),
        ("byId.17.name", "byId.17.name"),
        ("headers.set-cookie._ga_1B2C3D", "headers.set-cookie._ga_1B2C3D"),
        ("…9f02c1d7aa….z", "…[redacted]….z"),
    ],
)
def test_below_a_telling_name_only_keys_that_read_like_names_are_told(path: str, shown: str) -> None:
    assert place(path) == shown


def test_keys_below_a_telling_name_are_hidden_in_a_value_too() -> None:
    assert (
        kept({"tokens": {TOKEN: 1, "expiresAt": 2}})
        == '{"tokens":{"[redacted]":"[redacted]","expiresAt":"[redacted]"}}'
    )


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
    assert len(kept("a. " * 1_000_000)) == KEPT
    assert kept("a." * 1_000_000) == '"…"'


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
