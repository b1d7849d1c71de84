"""Sessions: signing in, going on with a refresh token, signing out."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated

import bcrypt
from anyio import to_thread
from pydantic import Field, PlainValidator
from starlette.requests import Request

from . import inputs, refresh_tokens, resources, text, tokens
from .answers import Answer
from .errors import InvalidCredentials, RefreshTokenExpired
from .inputs import Input, wrong
from .refresh_tokens import Pair
from .resources import Resources
from .shadow import shadowed
from .tokens import Caller
from .unit import Unscoped, reading, unit_of_work

LONGEST_PASSWORD = 72  # bytes: bcrypt reads no further, so a longer one would be matched by its beginning
# Compared against when nobody has the e-mail. Its cost is Rails' default, and so that of the digests stored.
NOBODY = b"$2b$12$" + b"." * 53
NO_STORE = (b"cache-control", b"no-store")


class ShadowedRotation(Exception):
    """A candidate's request that could be answered only by rotating a token, which is not a candidate's to rotate."""


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


class RefreshTokenRequest(Input):
    refresh_token: Credential = Field(alias="refreshToken")


FIND_USER = Unscoped(
    "select id, account_id, email, name, role, password_digest from users where email = %(email)s",
    reason="signing in starts from an e-mail; which account it belongs to is what is being asked",
)
# Signing in is no edit: updated_at stays.
NOTE_SIGN_IN = Unscoped(
    "update users set last_sign_in_at = %(now)s where id = %(id)s",
    reason="the password has just been proved for this very row",
)
FIND_ACCOUNT = Unscoped(
    "select account_id from users where id = %(id)s",
    reason="the refresh token has just proved whose row this is; which account it belongs to is what is being asked",
)


async def login(request: Request) -> Answer:
    credentials = await inputs.body(request, LoginRequest)
    held = resources.of(request)
    async with reading(request) as database:
        user = await database.row(FIND_USER, email=text.lowered(text.stripped(credentials.email)))
    # The connection is back in the pool: bcrypt takes its time.
    if not await password_matches(held, credentials.password, user[-1] if user else None) or user is None:
        raise InvalidCredentials
    id, account_id, email, name, role, _ = user
    pair = issued(held, Caller(id, account_id))
    async with unit_of_work(request) as unit:
        await unit.execute(NOTE_SIGN_IN, id=id, now=datetime.now(UTC).replace(tzinfo=None))
        # Before the commit: without Redis nothing is kept. Should the commit fail, it is a key that nobody knows.
        await refresh_tokens.keep(held, pair.refresh_token, id)
    user_shown = {"id": id, "accountId": account_id, "email": email, "name": name, "role": role}
    return Answer({**pair.shown, "user": user_shown}, headers=[NO_STORE])


async def refresh(request: Request) -> Answer:
    token = (await inputs.body(request, RefreshTokenRequest)).refresh_token
    held = resources.of(request)
    # Of many at once with one token the first rotates it, and the others need no connection to find the pair.
    async with held.turn(f"refresh {token}"):
        session = await refresh_tokens.look_up(held, token)
        if session is not None and session.pair is None:
            caller = await owner(request, session.user_id)
            if shadowed(request):
                raise ShadowedRotation
            # From here on nobody can say that nothing was kept; but whoever asks again gets the same pair.
            request.state.commit_sent = True
            session = await refresh_tokens.rotate(held, token, issued(held, caller))
    if session is None or session.pair is None:
        raise RefreshTokenExpired
    return Answer(session.pair.shown, headers=[NO_STORE])


async def owner(request: Request, user_id: int) -> Caller:
    """Asked before anything is rotated: without PostgreSQL the token stays as good as it was."""
    async with reading(request) as database:
        row = await database.row(FIND_ACCOUNT, id=user_id)
    if row is None:
        raise RefreshTokenExpired
    return Caller(user_id, row[0])


async def logout(request: Request) -> Answer:
    """Answered alike for a token that was good and one that was not: either way it is none now."""
    shown = await inputs.body(request, RefreshTokenRequest)
    if not shadowed(request):
        request.state.commit_sent = True
        await refresh_tokens.revoke(resources.of(request), shown.refresh_token)
    return Answer({}, headers=[NO_STORE])


def issued(held: Resources, caller: Caller) -> Pair:
    return Pair(tokens.issue(caller, held.settings.jwt_secret, int(time.time())), refresh_tokens.made())


async def password_matches(held: Resources, password: str, digest: str | None) -> bool:
    """Takes as long for an e-mail that nobody has. bcrypt lets go of the GIL, in a few threads of its own."""
    secret = password.encode()
    same = await to_thread.run_sync(
        bcrypt.checkpw, secret[:LONGEST_PASSWORD], digest.encode() if digest else NOBODY, limiter=held.bcrypt
    )
    return same and digest is not None and len(secret) <= LONGEST_PASSWORD
