"""Access tokens: the same on both sides, and trusted alone (no row is read). No I/O."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass

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


def caller(authorization: str, secret: str) -> Caller:
    """The bearer of the token in an `Authorization` header; Unauthorized unless it is ours, in force and complete."""
    bearer = BEARER.fullmatch(authorization)
    if bearer is None:
        raise Unauthorized
    try:
        # An issue time ahead of our clock is no fault: the sides' clocks differ by a little.
        options: Options = {"require": CLAIMS, "verify_iat": False, "verify_aud": False}
        claims = jwt.decode(bearer[1], secret, algorithms=["HS256"], options=options)
    except jwt.InvalidTokenError:
        raise Unauthorized from None
    # PyJWT takes numbers in strings for times.
    if not all(type(claims[name]) is int for name in ("iat", "exp")) or text.blank(claims["jti"]):
        raise Unauthorized
    user_id, account_id = row_id(claims["sub"]), claims["account_id"]
    if user_id is None or type(account_id) is not int or not 1 <= account_id <= LARGEST_ID:
        raise Unauthorized
    return Caller(user_id, account_id)
