"""The headers that change on their way through: what ends at this hop, who is calling, which request it is.  No I/O.

Everything else is passed on as it came: bytes, order and duplicates.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

Header = tuple[bytes, bytes]

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

_REQUEST_ID = re.compile(rb"[\w\-@]{1,255}")  # what Rails takes over unchanged
_CONTEXT = rb"-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"  # W3C Trace Context §3.2
_TRACEPARENT = re.compile(rb"00%b|(?!00|ff)[0-9a-f]{2}%b(?:-.*)?" % (_CONTEXT, _CONTEXT))  # later versions may append
_TOKEN = re.compile(rb"[A-Za-z0-9!#$%&'*+\-.^_`|~]+")  # RFC 9110 §5.6.2
_PORT = re.compile(rb":([0-9]{1,5})$")

# A WebSocket is asked for over HTTP (RFC 6455 §4.1), and X-Forwarded-Proto names that: "ws" is no scheme to Rails.
_OVER = {"ws": b"http", "wss": b"https"}

_Said = Mapping[bytes, Sequence[bytes]]


def request_id(headers: Iterable[Header]) -> str | None:
    """The request id that the caller gave, if it gave exactly one and every side would keep it as it is."""
    found = _only([value for name, value in headers if name.lower() == b"x-request-id"], _REQUEST_ID)
    return found.decode("ascii") if found else None


def traceparent(headers: Iterable[Header]) -> str | None:
    """The trace context that the caller gave, if it gave exactly one that is valid."""
    found = _only([value for name, value in headers if name.lower() == b"traceparent"], _TRACEPARENT)
    return found.decode("ascii") if found else None


def forward_request(
    headers: Iterable[Header],
    *,
    client: str,
    scheme: str,
    request_id: str,
    trace: str,
    trusted: bool = False,
    http_version: str = "1.1",
) -> list[Header]:
    """The headers to ask a side with.

    `client` is the address at the other end of the connection; what it says about those before it counts only if it
    is `trusted`. `request_id` and `trace` are used unless the caller gave its own, well-formed.
    """
    kept: list[Header] = []
    said: dict[bytes, list[bytes]] = {}
    for header in headers:
        if header[0] in END_TO_END:  # the short way for nearly all of them
            kept.append(header)
            continue
        name = header[0].lower()
        # Behind CGI-like servers, puma among them, X_Forwarded_For is X-Forwarded-For: it may not slip through.
        meaning = name.replace(b"_", b"-")
        if meaning in HOP_BY_HOP or meaning in _REWRITTEN:
            if meaning == name and header[1]:
                said.setdefault(name, []).append(header[1])
        elif meaning in _CLAIMS or meaning.startswith(b"x-forwarded-"):
            if trusted and meaning == name:
                kept.append(header)
        elif not meaning.startswith(_OWN):
            kept.append(header)
            if name == b"host":
                said[name] = [header[1]]
    kept = _without_nominated(kept, said)
    stated = said if trusted else {b"host": said.get(b"host", [])}
    kept += _origin(stated, client.encode("latin-1", "replace") or b"unknown", _OVER.get(scheme) or scheme.encode())
    kept.append((b"via", b", ".join([*said.get(b"via", ()), b"%b strangler" % http_version.encode()])))
    kept.append((b"x-request-id", _only(said.get(b"x-request-id", ()), _REQUEST_ID) or request_id.encode()))
    context = _only(said.get(b"traceparent", ()), _TRACEPARENT)
    kept.append((b"traceparent", context or trace.encode()))
    if context:  # the state belongs to the context; without it, it means nothing
        kept += [(b"tracestate", value) for value in said.get(b"tracestate", ())]
    return kept


def forward_response(headers: Iterable[Header]) -> list[Header]:
    """The headers to answer the client with."""
    kept: list[Header] = []
    said: dict[bytes, list[bytes]] = {}
    for header in headers:
        name = header[0].lower()
        if name in END_TO_END:
            kept.append(header)
        elif name in HOP_BY_HOP:
            said.setdefault(name, []).append(header[1])
        elif not name.startswith(_OWN):
            kept.append(header)
    return _without_nominated(kept, said)


def _only(values: Sequence[bytes], form: re.Pattern[bytes]) -> bytes | None:
    return values[0] if len(values) == 1 and form.fullmatch(values[0]) else None


def _without_nominated(kept: list[Header], said: _Said) -> list[Header]:
    """Drops what Connection names, and a length that the transfer coding has overruled (RFC 9112 §6.3)."""
    drop = set()
    if b"connection" in said:
        options = b",".join(said[b"connection"]).lower().split(b",")
        drop = {option.strip(b" \t") for option in options} - HOP_BY_HOP - END_TO_END - _CLAIMS - {b"host", b"close"}
        drop = {name for name in drop if not name.startswith(b"x-forwarded-")}
    if b"transfer-encoding" in said:
        drop.add(b"content-length")
    return [header for header in kept if header[0].lower() not in drop] if drop else kept


def _origin(stated: _Said, client: bytes, scheme: bytes) -> list[Header]:
    """Who asked whom, and how: X-Forwarded-* and Forwarded, as two spellings of one statement."""
    before = stated.get(b"x-forwarded-for", ())
    schemes = stated.get(b"x-forwarded-proto") or [scheme]
    hosts = stated.get(b"x-forwarded-host") or stated.get(b"host", ())
    scheme = schemes[0].split(b",")[0].strip()
    host = hosts[0] if hosts else b""
    ports = stated.get(b"x-forwarded-port") or [_port(host, scheme)]
    return [
        (b"x-forwarded-for", b", ".join([*before, client])),
        *[(b"x-forwarded-proto", value) for value in schemes],
        *[(b"x-forwarded-host", value) for value in hosts],
        *[(b"x-forwarded-port", value) for value in ports],
        (b"forwarded", _forwarded(stated.get(b"forwarded"), before, client, host, scheme)),
    ]


def _port(host: bytes, scheme: bytes) -> bytes:
    """The port that the user's address names, or the scheme's own."""
    named = _PORT.search(host) if b":" in host else None
    return named[1] if named else b"443" if scheme == b"https" else b"80"


def _forwarded(
    stated: Sequence[bytes] | None, before: Sequence[bytes], client: bytes, host: bytes, scheme: bytes
) -> bytes:
    """RFC 7239. Host and scheme are stated once, as the user sees them; a chain known only from X-Forwarded-For is
    translated (§7.4), or whoever reads Forwarded would take the last proxy for the user."""
    if stated:
        return b", ".join([*stated, b"for=" + _node(client)])
    hops = [b"for=" + _node(hop.strip()) for line in before for hop in line.split(b",") if hop.strip()]
    named = b";host=" + _value(host) if host else b""
    return b", ".join([*hops, b"for=%b%b;proto=%b" % (_node(client), named, _value(scheme))])


def _node(address: bytes) -> bytes:
    """RFC 7239 §6: an IPv6 address stands in brackets and, for its colons, in quotes."""
    return b'"[%b]"' % address if address.count(b":") > 1 and b"[" not in address else _value(address)


def _value(text: bytes) -> bytes:
    if _TOKEN.fullmatch(text):
        return text
    return b'"%b"' % text.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
