"""Who is asking: the token check that every handler begins with, and signing in."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime
from typing import Annotated

import bcrypt
from anyio import to_thread
from pydantic import PlainValidator
from starlette.requests import Request

from . import inputs, resources, text, tokens
from .answers import Answer
from .errors import InvalidCredentials
from .headers import header
from .inputs import Input, wrong
from .resources import Resources
from .tokens import Caller
from .unit import Unscoped, reading, unit_of_work

REFRESH_LIFETIME = 7 * 24 * 60 * 60
LONGEST_PASSWORD = 72  # bytes: bcrypt reads no further, so a longer one would be matched by its beginning
# Compared against when nobody has the e-mail. Its cost is Rails' default, and so that of the digests stored.
NOBODY = b"$2b$12$" + b"." * 53


def authenticate(request: Request) -> Caller:
    """The caller, by its access token alone; Unauthorized without a good one."""
    secret = resources.of(request).settings.jwt_secret
    authorization = header(request.scope, b"authorization") or b""
    return tokens.caller(authorization.decode("latin-1"), secret)


def check_credential(value: object) -> str:
    if value is None or value == "":
        raise wrong("can't be blank")
    if not isinstance(value, str):
        raise wrong("must be a string")
    if "\0" in value:
        raise wrong("is invalid")
    return value


Credential = Annotated[str, PlainValidator(check_credential)]


class LoginRequest(Input):
    email: Credential
    password: Credential


FIND_USER = Unscoped(
    "select id, account_id, email, name, role, password_digest from users where email = %(email)s",
    reason="signing in starts from an e-mail; which account it belongs to is what is being asked",
)
# Signing in is no edit: updated_at stays.
NOTE_SIGN_IN = Unscoped(
    "update users set last_sign_in_at = %(now)s where id = %(id)s",
    reason="the password has just been proved for this very row",
)


async def login(request: Request) -> Answer:
    credentials = await inputs.body(request, LoginRequest)
    held = resources.of(request)
    async with reading(request) as database:
        user = await database.row(FIND_USER, email=text.stripped(credentials.email).lower())
    # The connection is back in the pool: bcrypt takes its time.
    if not await password_matches(held, credentials.password, user[-1] if user else None) or user is None:
        raise InvalidCredentials
    id, account_id, email, name, role, _ = user
    access_token = tokens.issue(Caller(id, account_id), held.settings.jwt_secret, int(time.time()))
    refresh_token = secrets.token_urlsafe(32)
    async with unit_of_work(request) as unit:
        await unit.execute(NOTE_SIGN_IN, id=id, now=datetime.now(UTC).replace(tzinfo=None))
        # Before the commit: without Redis nothing is kept. Should the commit fail, it is a key that nobody knows.
        async with held.in_time():
            await held.redis.set(f"refresh:token:{refresh_token}", id, ex=REFRESH_LIFETIME)
    content = {
        "accessToken": access_token,
        "refreshToken": refresh_token,
        "user": {"id": id, "accountId": account_id, "email": email, "name": name, "role": role},
    }
    return Answer(content, headers=[(b"cache-control", b"no-store")])


async def password_matches(held: Resources, password: str, digest: str | None) -> bool:
    """Takes as long for an e-mail that nobody has. bcrypt lets go of the GIL, in a few threads of its own."""
    secret = password.encode()
    same = await to_thread.run_sync(
        bcrypt.checkpw, secret[:LONGEST_PASSWORD], digest.encode() if digest else NOBODY, limiter=held.bcrypt
    )
    return same and digest is not None and len(secret) <= LONGEST_PASSWORD
