from __future__ import annotations

import pytest

from handlers import tokens
from handlers.errors import Unauthorized
from handlers.tokens import Caller
from tests.parity.tokens import BAD, GOOD, authorizations

SECRET = "a secret that is long enough for HS256"
NOW = 4_000_000_000  # far ahead: `exp` is checked against the clock of today
HEADERS = authorizations(SECRET, NOW)


@pytest.mark.parametrize("name", GOOD)
def test_a_good_token_tells_who_calls(name: str) -> None:
    assert tokens.caller(HEADERS[name], SECRET) == Caller(user_id=2, account_id=1)


@pytest.mark.parametrize("name", BAD)
def test_any_other_is_refused(name: str) -> None:
    with pytest.raises(Unauthorized):
        tokens.caller(HEADERS[name], SECRET)


def test_our_own_tokens_are_taken_for_fifteen_minutes() -> None:
    caller = Caller(user_id=7, account_id=3)
    token = tokens.issue(caller, SECRET, NOW)
    assert tokens.caller(f"Bearer {token}", SECRET) == caller
    with pytest.raises(Unauthorized):
        tokens.caller(f"Bearer {tokens.issue(caller, SECRET, 1_000_000_000)}", SECRET)


def test_no_two_tokens_are_the_same() -> None:
    caller = Caller(1, 1)
    assert tokens.issue(caller, SECRET, NOW) != tokens.issue(caller, SECRET, NOW)
