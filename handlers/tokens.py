"""Access tokens: the same on both sides, and trusted alone (no row is read). No I/O."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from functools import lru_cache

import jwt
from jwt.types import Options

from . import text
from .errors import Unauthorized
from .ids import LARGEST_ID, row_id

LIFETIME = 15 * 60
CLAIMS = ["sub", "account_id", "iat", "exp", "jti"]
# Not every server strips the white space after a header's value.
BEARER = re.compile(r"Bearer +([\w-]+\.[\w-]+\.[\w-]+)[ \t]*", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. Whatever is read or written for a caller belongs to its account."""

    user_id: int
    account_id: int


def issue(caller: Caller, secret: str, now: int) -> str:
    claims = {
        "sub": str(caller.user_id),
        "account_id": caller.account_id,
        "iat": now,
        "exp": now + LIFETIME,
        "jti": str(uuid.uuid4()),
    }
    return jwt.encode(claims, secret, algorithm="HS256", headers={"typ": None})  # as ruby-jwt: without `typ`


def caller(authorization: str, secret: str, now: float) -> Caller:
    """The bearer of the token in an `Authorization` header; Unauthorized unless it is ours, in force and complete."""
    bearer = BEARER.fullmatch(authorization)
    if bearer is None:
        raise Unauthorized
    token = checked(bearer[1], secret)
    if not token.not_before <= now < token.expires:
        raise Unauthorized
    return token.caller


@dataclass(frozen=True, slots=True)
class Token:
    caller: Caller
    not_before: int
    expires: int


# A client shows the same token for a quarter of an hour, and all of it but the time stays as true as it was.
@lru_cache(maxsize=4096)
def checked(token: str, secret: str) -> Token:
    """What a token says, whenever that is in force; Unauthorized unless it is ours and complete."""
    try:
        # An issue time ahead of our clock is no fault: the sides' clocks differ by a little.
        options: Options = {
            "require": CLAIMS, "verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False,
        }  # fmt: skip
        claims = jwt.decode(token, secret, algorithms=["HS256"], options=options)
        not_before = int(claims.get("nbf", 0))
    except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError):
        raise Unauthorized from None
    if not all(type(claims[name]) is int for name in ("iat", "exp")) or text.blank(claims["jti"]):
        raise Unauthorized
    user_id, account_id = row_id(claims["sub"]), claims["account_id"]
    if user_id is None or type(account_id) is not int or not 1 <= account_id <= LARGEST_ID:
        raise Unauthorized
    return Token(Caller(user_id, account_id), not_before, claims["exp"])
