from __future__ import annotations

import pytest

from handlers import tokens
from handlers.errors import Unauthorized
from handlers.tokens import Caller
from tests.parity.tokens import BAD, GOOD, authorizations, claims, sign

SECRET = "a secret that is long enough for HS256"
NOW = 4_000_000_000
HEADERS = authorizations(SECRET, NOW)


@pytest.mark.parametrize("name", GOOD)
def test_a_good_token_tells_who_calls(name: str) -> None:
    assert tokens.caller(HEADERS[name], SECRET, NOW) == Caller(user_id=2, account_id=1)


@pytest.mark.parametrize("name", BAD)
def test_any_other_is_refused(name: str) -> None:
    with pytest.raises(Unauthorized):
        tokens.caller(HEADERS[name], SECRET, NOW)


def test_our_own_tokens_are_taken_for_fifteen_minutes() -> None:
    caller = Caller(user_id=7, account_id=3)
    header = f"Bearer {tokens.issue(caller, SECRET, NOW)}"
    for now in (NOW, NOW + 899):
        assert tokens.caller(header, SECRET, now) == caller
    with pytest.raises(Unauthorized):
        tokens.caller(header, SECRET, NOW + 900)


def test_no_two_tokens_are_the_same() -> None:
    caller = Caller(1, 1)
    assert tokens.issue(caller, SECRET, NOW) != tokens.issue(caller, SECRET, NOW)


def test_a_token_that_was_good_is_refused_when_its_time_is_over() -> None:
    header = f"Bearer {sign(claims(NOW, nbf=NOW - 10), SECRET)}"
    for now in (NOW - 10, NOW, NOW + 3599.9):
        assert tokens.caller(header, SECRET, now) == Caller(user_id=2, account_id=1)
    for now in (NOW - 10.1, NOW + 3600):
        with pytest.raises(Unauthorized):
            tokens.caller(header, SECRET, now)


def test_a_token_is_good_for_the_secret_alone_that_signed_it() -> None:
    header = HEADERS["agent"]
    assert tokens.caller(header, SECRET, NOW) == Caller(user_id=2, account_id=1)
    with pytest.raises(Unauthorized):
        tokens.caller(header, SECRET[::-1], NOW)


def test_a_token_is_remembered_once_however_its_header_is_written() -> None:
    tokens.checked.cache_clear()
    token = HEADERS["agent"].removeprefix("Bearer ")
    blanks = " \t"
    for width in range(1, 50):
        for header in (f"Bearer{' ' * width}{token}", f"bEARER {token}{blanks * width}"):
            assert tokens.caller(header, SECRET, NOW) == Caller(user_id=2, account_id=1)
    assert tokens.checked.cache_info().currsize == 1


def test_what_is_no_token_of_ours_is_not_remembered() -> None:
    tokens.checked.cache_clear()
    for number in range(50):
        with pytest.raises(Unauthorized):
            tokens.caller(f"Bearer a.{number}.c", SECRET, NOW)
    assert tokens.checked.cache_info().currsize == 0
