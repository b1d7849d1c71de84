"""Who is answered by one side whatever the shares: a tester, by a token that says so and expires.  No I/O.

A token is `1:SIDE:ROUTES:UNTIL:WHO:HMAC`: routes are joined by `+`, or `*` for every one; the time is in Unix seconds;
the HMAC-SHA256, keyed by what proxies of one fleet share, is taken over all that stands before it. It comes as a header
or as a cookie of that name, and ends here: no side ever sees one.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass

from flags.flag import Side
from proxy.signature import Secret

NAME = "X-Strangler-Force"  # of the header, and of the cookie
FORCE = NAME.lower().encode()
COOKIE = NAME.encode() + b"="
EVERY = "*"
MOST = 4  # tokens of one request that are looked at: each costs an HMAC

WHO = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,99}")  # what needs no quoting, in a cookie as little as in a log
_TOKEN = re.compile(
    rb"(1:(legacy|native):(\*|[A-Za-z0-9_.+-]+):([0-9]{1,12}):(%b)):([0-9a-f]{64})" % WHO.pattern.encode()
)


@dataclass(frozen=True, slots=True)
class Force:
    """`routes`: those that it is about, none of them for every route; `until`: Unix seconds; `who`: whose it is."""

    side: Side
    routes: frozenset[str]
    until: int
    who: str

    def concerns(self, route: str) -> bool:
        return not self.routes or route in self.routes

    def token(self, secret: Secret) -> str:
        said = f"1:{self.side.value}:{'+'.join(sorted(self.routes)) or EVERY}:{self.until}:{self.who}"
        return f"{said}:{_mac(secret, said.encode()).decode()}"


def forces(tokens: Sequence[bytes], secret: Secret, now: float) -> tuple[Force, ...]:
    """What these demand, in their order, as far as they were made by whoever has the secret and are still good."""
    found = (_read(token, secret) for token in tokens[:MOST])
    return tuple(force for force in found if force is not None and now < force.until)


def _read(token: bytes, secret: Secret) -> Force | None:
    found = _TOKEN.fullmatch(token)
    if found is None or not hmac.compare_digest(found[6], _mac(secret, found[1])):
        return None
    side, routes, until, who = (part.decode() for part in found.groups()[1:5])
    named = frozenset[str]() if routes == EVERY else frozenset(routes.split("+"))
    return Force(Side(side), named, int(until), who)


def _mac(secret: Secret, said: bytes) -> bytes:
    # This is one line, and what proxies sign with the same secret is several: neither can be passed off as the other.
    return hmac.digest(secret.value, said, "sha256").hex().encode()


def parted(cookies: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    """The value of a Cookie header without cookies of ours, and what those held."""
    kept, tokens = list[bytes](), list[bytes]()
    for pair in cookies.split(b";"):
        bare = pair.strip(b" \t")
        if bare.startswith(COOKIE):
            tokens.append(bare[len(COOKIE) :])
        else:
            kept.append(pair)
    return (b";".join(kept).strip(b" \t"), tuple(tokens)) if tokens else (cookies, ())
