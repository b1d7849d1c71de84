"""Who is asking, by the token check that every handler begins with, and whether they may change what they ask for."""

from __future__ import annotations

import time

from psycopg.rows import TupleRow
from starlette.requests import Request

from . import resources, tokens
from .errors import Forbidden, NotFound, Unauthorized
from .headers import header
from .tokens import Caller


def authenticate(request: Request) -> Caller:
    """The caller, by its access token alone; Unauthorized without a good one."""
    secret = resources.of(request).settings.jwt_secret
    authorization = header(request.scope, b"authorization") or b""
    caller = tokens.caller(authorization.decode("latin-1"), secret, time.time())
    request.state.caller = caller  # for the log of a failure
    return caller


def permitted(row: TupleRow | None) -> TupleRow:
    """What a statement that changes a row has to say, behind its first two words: whether it was found, and allowed.

    Roles are not in the token, so that one who loses a role has lost it at once: the statement that changes the row
    looks at its caller's. Without the caller it has nothing to say.
    """
    if row is None:
        raise Unauthorized
    found, allowed, *rest = row
    if not found:
        raise NotFound
    if not allowed:
        raise Forbidden
    return tuple(rest)
