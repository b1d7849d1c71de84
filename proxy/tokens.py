"""Who may give orders: whoever has a token, or, where there are none, whoever asks from this machine."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request

from proxy.roles import Holder, Role
from proxy.values import read_tokens

HERE = Holder("this machine", Role.OPERATOR)

# As it is written, without a parser between: what a parser forgives, another one reads as another host.
_HERE = re.compile(r"(localhost|127(\.[0-9]{1,3}){3}|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)


class Tokens:
    """The tokens of a file or a variable, read at each use, so that a file can be changed without a restart."""

    def __init__(self, place: Path | None) -> None:
        self._place = place

    def admit(self, request: Request, role: Role) -> Holder:
        """Who asks. Raises 401, 403 or 503. Without tokens only this machine may, and no page in a browser on it."""
        if self._place is None:
            _refuse_foreign(request)
            return HERE
        known, given, found = _known(self._place), _bearer(request).encode(), None
        for token, holder in known.items():  # every one of them, so that the time tells nothing
            if hmac.compare_digest(given, token.encode()):
                found = holder
        if found is None:
            raise HTTPException(401, "a token is needed: Authorization: Bearer …", {"www-authenticate": "Bearer"})
        if not found.may(role):
            raise HTTPException(
                403, f"nothing changed: {found.name} is a {found.role.value}; this takes an {role.value}"
            )
        return found


def _bearer(request: Request) -> str:
    """The token that a request brings; empty, which no token is, without one of this scheme."""
    scheme, _, token = ", ".join(request.headers.getlist("authorization")).partition(" ")
    return token.strip(" ") if scheme.lower() == "bearer" else ""


def _known(place: Path) -> Mapping[str, Holder]:
    """A file that has gone, or was emptied, lets nobody in."""
    try:
        return read_tokens(place)
    except ValueError as error:
        raise HTTPException(503, f"nothing changed, and nobody can be let in: {error}") from None


def _refuse_foreign(request: Request) -> None:
    """A page can make a browser send requests here, under a name of its own (DNS rebinding) or from its origin."""
    host = ", ".join(request.headers.getlist("host"))
    if not _HERE.fullmatch(host) or "origin" in request.headers:
        raise HTTPException(403, "without tokens this port answers only direct requests to a loopback address")
