"""Files with one request on each line: access logs, the proxy's own, and recorded requests. No I/O.

Such as:

    10.0.0.7 - anna [10/Oct/2000:13:55:36 -0700] "GET /api/v1/users/7?full=1 HTTP/1.1" 200 2326 "…" "Mozilla/5.0 …"
    {"request_id": "…", "method": "GET", "path": "/api/v1/users/7", …, "event": "request", …}
    {"method": "GET", "target": "/api/v1/users/7?full=1", "headers": {"Accept": "application/json"}}
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from proxy.replay.question import Reason, Recorded, Skipped

# Nothing in it can be passed over in two ways, so that no line costs more than a pass over it.
_ACCESS: Final = re.compile(
    r'[^\["]*\[[^\]"]*\] "((?:[^"\\]|\\.)*)"(?: \S+ \S+ "(?:[^"\\]|\\.)*" "((?:[^"\\]|\\.)*)")?'
)
_REQUEST: Final = re.compile(r"([!-~]+) ([^ ]+) HTTP/[0-9](?:\.[0-9])?")
_ESCAPED: Final = re.compile(r'\\(?:x([0-9A-Fa-f]{2})|(["\\]))')  # as nginx and Apache write what is not plain
_REQUESTS: Final = "request"  # the event of the proxy's own records of them


def access(number: int, line: str) -> Recorded | Skipped:
    """A line in nginx's or Apache's `combined` or `common`."""
    found = _ACCESS.match(line)
    if found is None:
        return Skipped(number, Reason.MALFORMED)
    request = _REQUEST.fullmatch(_plain(found[1]))
    if request is None:  # "-", where the client sent nothing; the beginning of a TLS handshake
        return Skipped(number, Reason.NOT_HTTP)
    agent = _plain(found[2] or "")
    headers = (("user-agent", agent),) if agent not in ("", "-") else ()
    return Recorded(number, request[1], request[2], headers)


def record(number: int, line: str) -> Recorded | Skipped:
    """A line of JSON: a request that somebody recorded, or one of the proxy's log, which holds no query."""
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        return Skipped(number, Reason.MALFORMED)
    return described(number, told)


def described(number: int, told: Any) -> Recorded | Skipped:
    """A request as a JSON value describes it."""
    if not isinstance(told, dict):
        return Skipped(number, Reason.MALFORMED)
    if "event" in told and told["event"] != _REQUESTS:
        return Skipped(number, Reason.NOT_HTTP)  # what else the proxy has logged
    method, target = told.get("method"), told.get("target", told.get("path"))
    headers = _headers(told.get("headers", {}))
    if not isinstance(method, str) or not isinstance(target, str) or headers is None:
        return Skipped(number, Reason.MALFORMED)
    return Recorded(number, method, target, headers)


def _headers(told: Any) -> tuple[tuple[str, str], ...] | None:
    """Of an object, or of a list of pairs, which can name one twice."""
    pairs: Iterable[Any] | None
    pairs = told.items() if isinstance(told, Mapping) else told if isinstance(told, list) else None
    if pairs is None:
        return None
    found = list(_pairs(pairs))
    return None if None in found else tuple(each for each in found if each is not None)


def _pairs(pairs: Iterable[Any]) -> Iterator[tuple[str, str] | None]:
    for pair in pairs:
        match pair:
            case (str(name), str(value)):
                yield name, value
            case _:
                yield None


def _plain(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)) if found[1] else found[2], text)
