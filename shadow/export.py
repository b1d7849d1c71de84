"""A mismatch as a test: a file for pytest that asks both sides, and fails until they agree. No I/O.

What came from outside stands in the file as a literal, and nowhere else.
"""

from __future__ import annotations

import dataclasses
import enum
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from .compare import Kind, Rules
from .mismatch import Mismatch, Sample
from .observation import MARK

Written = Mapping[str, Any]  # a route's rules as its configuration has them: what `Rules.parse` takes

_FILE: Final = '''"""{sides} must agree on one request to the route {route}, by that route's rules; mismatch {id}.

    {command} python -m pytest {name}

{settings}

It compares as the strangler does that wrote it: run it where that is installed, or from its directory.
"""

from __future__ import annotations

import http.client
import os
from urllib.parse import urlsplit

{imports}

DIFFERED = {differed}  # where, and how
METHOD, TARGET = {method}, {target}
HEADERS = {headers}
CREDENTIALS = {credentials}
RULES = {rules}


def test_the_sides_agree() -> None:
    result = compare(answer({control}), answer({candidate}), RULES)
    assert not result.count, "\\n".join(str(each) for each in result.differences)


def answer(side: str) -> Observation:
    url = urlsplit(setting(f"{{side.upper()}}_URL"))
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.netloc, timeout=30)
    try:
        credentials = {{name: setting(name.upper()) for name in CREDENTIALS}}
        connection.request(METHOD, url.path.rstrip("/") + TARGET, headers={{**HEADERS, **credentials}})
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    headers = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in response.getheaders())
    return Observation(response.status, headers, body, complete=True, elapsed=0.0)


def setting(name: str) -> str:
    assert os.environ.get(name), f"{{name}} is not set; the top of this file says what it is"
    return os.environ[name]
'''
_URLS: Final = "{0}_URL"
_MARKED: Final = {MARK.decode(): "exported"}  # a write is refused to shadows alone
_CREDENTIALS: Final = {
    "authorization": ("AUTHORIZATION", "'Bearer …'", "the header of a user who may ask this"),
    "cookie": ("COOKIE", "'name=…'", "the header of a user who may ask this"),
}


class NotRepeatable(Exception):
    """No sample holds its request as it was asked."""


@dataclasses.dataclass(frozen=True, slots=True)
class Exported:
    name: str
    text: str


def export(found: Mismatch, written: Written) -> Exported:
    """The test of the newest request that can be asked again. Raises NotRepeatable if none can."""
    sample = next((each for each in found.samples if each.repeatable), None)
    if sample is None:
        raise NotRepeatable(
            f"{found.id}: none of the requests that showed it can be asked again, because each had something that is "
            "never kept: a body, or what looks like a token or an address in its target or headers"
        )
    name = f"test_{re.sub(r'[^a-z0-9]+', '_', found.route.lower())}_{found.id}.py"
    return Exported(name, _text(found, sample, written, name))


def _text(found: Mismatch, sample: Sample, written: Written, name: str) -> str:
    sides = (sample.control_side, sample.candidate_side)
    urls = [(_URLS.format(side.upper()), "http://127.0.0.1:…", f"where {side} listens") for side in sides]
    settings = [*urls, *(_CREDENTIALS[each] for each in sample.credentials)]
    width = max(len(setting) for setting, _, _ in settings) + 2
    modules = {"shadow.compare": {"compare"}, "shadow.observation": {"Observation"}}
    for each in (Rules, *_classes(written)):
        modules.setdefault(each.__module__, set()).add(each.__qualname__)
    imports = [f"from {module} import {', '.join(sorted(names))}" for module, names in sorted(modules.items())]
    return _FILE.format(
        sides=" and ".join(sides),
        route=found.route,
        id=found.id,
        name=name,
        command=" ".join(f"{setting}={value}" for setting, value, _ in settings),
        settings="\n".join(f"{setting:{width}}{about}" for setting, _, about in settings),
        imports="\n".join(imports),
        differed=ascii((found.field, found.kind)),
        method=ascii(sample.method),
        target=ascii(sample.target),
        headers=ascii(dict(sample.headers) | (_MARKED if found.kind == Kind.WRITE.value else {})),
        credentials=ascii(list(sample.credentials)),
        rules=f"Rules.parse({', '.join(f'{name}={source(value)}' for name, value in written.items() if value)})",
        control=ascii(sample.control_side),
        candidate=ascii(sample.candidate_side),
    )


def source(value: Any) -> str:
    """The value as Python writes it. What is at its default is left out, for people read it."""
    if _is_record(value):
        told = [(each.name, getattr(value, each.name), each.default) for each in dataclasses.fields(value)]
        return f"{type(value).__name__}({', '.join(f'{n}={source(v)}' for n, v, default in told if v != default)})"
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(source, value))}]" if isinstance(value, list) else _tuple(value)
    return ascii(value)


def _tuple(value: tuple[Any, ...]) -> str:
    return f"({', '.join(map(source, value))}{',' * (len(value) == 1)})"


def _classes(value: Any) -> Iterator[type]:
    """Those that its source names."""
    if _is_record(value):
        yield type(value)
        yield from _classes([getattr(value, each.name) for each in dataclasses.fields(value)])
    elif isinstance(value, Mapping):
        yield from _classes(list(value.values()))
    elif isinstance(value, tuple | list):
        for each in value:
            yield from _classes(each)
    elif type(value).__module__ != "builtins":
        yield type(value)


def _is_record(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)
