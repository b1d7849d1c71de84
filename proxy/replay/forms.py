"""What a file is: told by how it begins, and read as that. No I/O."""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, Final

from proxy.replay.lines import access, described, record
from proxy.replay.parts import Splitter, Unended
from proxy.replay.question import Reason, Recorded, Skipped

LINE: Final = 64 * 1024  # bytes: more than the head of a request that a proxy takes
PART: Final = 1024 * 1024  # bytes of a request in a document, with the body that is not sent

Reading = Recorded | Skipped
Read = Callable[[int, str], Reading]

_KEY: Final = re.compile(r'\s*\{\s*"([^"\\]*)"\s*:')
_SAMPLES: Final = re.compile(r'"samples"\s*:')


class Form(enum.Enum):
    HAR = "har"  # HTTP Archive 1.2, as browsers save it
    LOG = "log"  # an access log, combined or common
    JSON = "json"  # lines of JSON: recorded requests, or the proxy's own log
    MISMATCH = "mismatch"  # what `strangler mismatches show ID --json` prints


class Unreadable(Exception):
    """Nothing can be made of the file, or of the rest of it."""


def form_of(head: str) -> Form | None:
    """What begins so; None if it is nothing that is known. The last line may be cut off, the first one too."""
    if head.lstrip().startswith("{") and (found := _document_form(head)) is not None:
        return found
    lines = [line for line in head.split("\n") if line.strip()]
    for form, read in ((Form.LOG, access), (Form.JSON, record)):
        if any(isinstance(read(0, line), Recorded) for line in lines):
            return form
    return None


def _document_form(head: str) -> Form | None:
    """Of one JSON value, on several lines perhaps, and larger than what is seen of it."""
    key = _KEY.match(head)
    if key and key[1] == "log":
        return Form.HAR
    return Form.MISMATCH if _SAMPLES.search(head) else None


def lines_of(read: Read, lines: Iterable[bytes]) -> Iterator[Reading]:
    """Of each line that is not empty; of one that is longer than LINE the beginning is enough."""
    for number, line in enumerate(lines, 1):
        text = line.strip(b" \t\r\n")
        if len(line) > LINE:
            yield Skipped(number, Reason.TOO_LONG)
        elif text:
            yield read(number, text.decode("utf-8", "replace"))


def document(form: Form, pieces: Iterable[bytes]) -> Iterator[Reading]:
    """Of each request in it. Raises Unreadable."""
    path, read = _DOCUMENTS[form]
    splitter = Splitter(path, PART)
    number = 0
    try:
        for number, part in enumerate(splitter.split(pieces), 1):
            yield Skipped(number, Reason.TOO_LONG) if part is None else _part(number, part, read)
    except Unended:
        raise Unreadable(f"it ends in the middle, behind the first {number} of its requests") from None
    if not splitter.found:
        raise Unreadable(f"it has no {'.'.join(path[: path.index('')])}")


def line_reader(form: Form) -> Read:
    return access if form is Form.LOG else record


def _part(number: int, part: bytes, read: Callable[[int, Any], Reading]) -> Reading:
    try:
        return read(number, json.loads(part))
    except (ValueError, RecursionError):
        return Skipped(number, Reason.MALFORMED)


def _request(number: int, request: Any) -> Reading:
    """One of a HAR's: https://w3c.github.io/web-performance/specs/HAR/Overview.html."""
    match request:
        case {"method": str(method), "url": str(url), "headers": [*headers]}:
            pairs = [[each.get("name"), each.get("value")] if isinstance(each, dict) else None for each in headers]
            return described(number, {"method": method, "target": url, "headers": pairs})
    return Skipped(number, Reason.MALFORMED)


def _sample(number: int, told: Any) -> Reading:
    """One of a mismatch's. Of some headers it has the names alone."""
    found = described(number, told)
    if isinstance(found, Skipped):
        return found
    match [told.get("repeatable", True), told.get("credentials", []), told.get("others", [])]:
        case [True, [*credentials], [*others]]:
            return replace(found, withheld=frozenset(map(str, [*credentials, *others])))
        case [False, _, _]:
            return Skipped(number, Reason.REDACTED)
    return Skipped(number, Reason.MALFORMED)


_DOCUMENTS: Final = {
    Form.HAR: (("log", "entries", "", "request"), _request),
    Form.MISMATCH: (("samples", ""), _sample),
}
