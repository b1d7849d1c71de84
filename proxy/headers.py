"""The headers that change on their way through: what ends at this hop, who is calling, which request it is.  No I/O.

Everything else is passed on as it came: bytes, order and duplicates.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from http import HTTPStatus

from proxy.forcing import COOKIE, FORCE, parted
from proxy.origin import Claims, Header, Said, origin
from proxy.signature import COMPARED, SHADOW

__all__ = ["END_TO_END", "HOP_BY_HOP", "Header", "forward_request", "forward_response", "given_id", "identity", "sift"]

# RFC 9110 §7.6.1. Trailers do not cross this hop, so neither does a word about them (TE, Trailer). Proxy-Authenticate
# and Proxy-Authorization do cross: they concern the proxy that demanded them, and this one demands nothing (§11.7).
HOP_BY_HOP = frozenset(
    b"connection proxy-connection keep-alive te trailer transfer-encoding upgrade http2-settings".split()
)
# Meant for every recipient: a Connection header naming one of these is a mistake or an attack, never a hop's business.
END_TO_END = frozenset(
    b"accept accept-charset accept-encoding accept-language accept-ranges access-control-allow-credentials "
    b"access-control-allow-headers access-control-allow-methods access-control-allow-origin "
    b"access-control-expose-headers access-control-max-age access-control-request-headers "
    b"access-control-request-method age allow authorization cache-control content-disposition content-encoding "
    b"content-language content-length content-location content-range content-security-policy content-type cookie date "
    b"dnt etag expect expires from if-match if-modified-since if-none-match if-range if-unmodified-since "
    b"idempotency-key last-event-id last-modified link location origin pragma prefer proxy-authenticate "
    b"proxy-authorization range referer retry-after sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform sec-fetch-dest "
    b"sec-fetch-mode sec-fetch-site sec-fetch-user server set-cookie strict-transport-security "
    b"upgrade-insecure-requests user-agent vary www-authenticate x-csrf-token x-requested-with".split()
)
# Who is calling and by which name: believed only from a trusted proxy. Client-Ip is among them because Rails answers
# an error to one that contradicts X-Forwarded-For.
_CLAIMS = frozenset(b"forwarded client-ip x-real-ip".split())
_REWRITTEN = frozenset(
    b"x-forwarded-for x-forwarded-proto x-forwarded-host x-forwarded-port forwarded via "
    b"x-request-id traceparent tracestate".split()
)
_OWN = b"x-strangler-"  # the proxy's own words; from outside they mean nothing
_NOMINATING_NOTHING = frozenset((option,) for option in b"keep-alive close Keep-Alive Close".split())

BODILESS = frozenset({204, 304})  # statuses whose answers have no body, whatever their headers say

_REQUEST_ID = re.compile(rb"[\w\-@]{1,255}")  # what Rails takes over unchanged
_CONTEXT = rb"-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"  # W3C Trace Context §3.2
_TRACEPARENT = re.compile(rb"00%b|(?!00|ff)[0-9a-f]{2}%b(?:-.*)?" % (_CONTEXT, _CONTEXT))  # later versions may append


class Fate(enum.Enum):
    """What becomes of a header of a request."""

    KEPT = enum.auto()
    HOST = enum.auto()  # kept, and told in other words too
    SAID = enum.auto()  # ends here; what it says is taken into account
    CLAIM = enum.auto()  # kept if a trusted proxy says it
    COOKIE = enum.auto()  # kept, but for what is said to the proxy in it
    ENDS = enum.auto()


_OTHERS = {b"host": Fate.HOST, b"cookie": Fate.COOKIE}


def _fate(spelled: bytes) -> Fate:
    name = spelled.lower()
    # Behind CGI-like servers, puma among them, X_Forwarded_For is X-Forwarded-For: it may not slip through.
    meaning = name.replace(b"_", b"-")
    if meaning in _REWRITTEN or meaning in (b"connection", b"transfer-encoding", FORCE, SHADOW, COMPARED):
        return Fate.SAID if meaning == name else Fate.ENDS
    if meaning in _CLAIMS or meaning.startswith(b"x-forwarded-"):
        return Fate.CLAIM if meaning == name else Fate.ENDS
    if meaning in HOP_BY_HOP or meaning.startswith(_OWN):
        return Fate.ENDS
    return _OTHERS.get(name, Fate.KEPT)


# The usual names as parsers hand them over, so that they need no second look.
_FATES = {name: _fate(name) for name in HOP_BY_HOP | END_TO_END | _CLAIMS | _REWRITTEN | {b"host"}}


def forward_request(
    headers: Iterable[Header],
    *,
    client: str,
    scheme: str,
    request_id: str,
    trace: bytes,
    trusted: bool = False,
    http_version: str = "1.1",
) -> list[Header]:
    """The headers to ask a side with.

    `client` is the address at the other end of the connection; what it says about those before it counts only if it
    is `trusted`. `request_id` and `trace` are used unless the caller gave its own, well-formed.
    """
    kept, said = sift(headers, trusted=trusted)
    kept += origin(Claims.of(said, trusted=trusted), client, scheme)
    kept += identity(said, given_id(said) or request_id, trace, http_version)
    return kept


def forward_response(headers: Iterable[Header]) -> list[Header]:
    """The headers to answer the client with."""
    kept: list[Header] = []
    said: dict[bytes, tuple[bytes, ...]] = {}
    for header in headers:
        name = header[0].lower()
        if name in END_TO_END:
            kept.append(header)
        elif name in HOP_BY_HOP:
            said[name] = (*said.get(name, ()), header[1])
        elif not name.startswith(_OWN):
            kept.append(header)
    return _without_nominated(kept, said) if said else kept


def sift(headers: Iterable[Header], *, trusted: bool) -> tuple[list[Header], Said]:
    """The headers of a request that pass as they are, and what the others say."""
    kept: list[Header] = []
    said: dict[bytes, tuple[bytes, ...]] = {}
    known, usual, cookies, own = _FATES.get, Fate.KEPT, Fate.COOKIE, Fate.SAID
    for header in headers:
        name, value = header
        fate = known(name) or _fate(name)
        if fate is usual or (fate is cookies and COOKIE not in value):
            kept.append(header)
        elif fate is own:
            if value:
                name = name.lower()
                said[name] = (*said[name], value) if name in said else (value,)
        elif fate is Fate.HOST:
            kept.append(header)
            said[b"host"] = (value,)
        elif fate is Fate.CLAIM and trusted:
            kept.append(header)
        elif fate is cookies:
            kept += _without_ours(header, said)
    if b"connection" in said or b"transfer-encoding" in said:
        kept = _without_nominated(kept, said)
    return kept, said


def _without_ours(header: Header, said: dict[bytes, tuple[bytes, ...]]) -> tuple[Header, ...]:
    """What is left of cookies some of which may be for the proxy."""
    left, tokens = parted(header[1])
    if tokens:
        said[FORCE] = (*said.get(FORCE, ()), *tokens)
    return ((header[0], left),) if left else ()


def given_id(said: Said) -> str | None:
    """The request id that the caller gave, if it gave exactly one and every side would keep it as it is."""
    given = said.get(b"x-request-id")
    found = _only(given, _REQUEST_ID) if given else None
    return found.decode("ascii") if found else None


def identity(said: Said, request_id: str, trace: bytes, http_version: str) -> list[Header]:
    """By which hops it came, and which request of which trace it is."""
    via = b"%b strangler" % http_version.encode()
    if b"via" in said:
        via = b", ".join([*said[b"via"], via])
    given = said.get(b"traceparent")
    context = _only(given, _TRACEPARENT) if given else None
    lines = [(b"via", via), (b"x-request-id", request_id.encode()), (b"traceparent", context or trace)]
    if context:  # the state belongs to the context; without it, it means nothing
        lines += [(b"tracestate", value) for value in said.get(b"tracestate", ())]
    return lines


def _only(values: Sequence[bytes], form: re.Pattern[bytes]) -> bytes | None:
    return values[0] if len(values) == 1 and form.fullmatch(values[0]) else None


def _without_nominated(kept: list[Header], said: Said) -> list[Header]:
    """Drops what Connection names, and a length that the transfer coding has overruled (RFC 9112 §6.3)."""
    drop = set()
    nominating = said.get(b"connection")
    if nominating and nominating not in _NOMINATING_NOTHING:  # as it does nearly always
        options = b",".join(nominating).lower().split(b",")
        drop = {option.strip(b" \t") for option in options} - HOP_BY_HOP - END_TO_END - _CLAIMS - {b"host", b"close"}
        drop = {name for name in drop if not name.startswith(b"x-forwarded-")}
    if b"transfer-encoding" in said:
        drop.add(b"content-length")
    return [header for header in kept if header[0].lower() not in drop] if drop else kept


def message_head(start: bytes, headers: Iterable[Header]) -> bytes:
    """The head of a message as it stands on the wire; `start` is its first line."""
    return b"\r\n".join((start, *map(b": ".join, headers), b"\r\n"))


def forward_trailers(trailers: list[Header]) -> list[Header]:
    """Without those that would change how the message is read (RFC 9110 §6.5.1)."""
    return [trailer for trailer in forward_response(trailers) if trailer[0] not in (b"content-length", b"host")]


@lru_cache(maxsize=512)
def status_line(status: int, phrase: bytes) -> bytes:
    """`phrase` as the side gave it; the standard one if it gave none."""
    if not phrase and status in HTTPStatus._value2member_map_:
        phrase = HTTPStatus(status).phrase.encode()
    return b"HTTP/1.1 %d %b" % (status, phrase)
