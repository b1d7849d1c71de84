"""A mismatch as a test: a file for pytest that asks both sides, and fails until they agree. No I/O.

What came from outside stands in the file as a literal, and nowhere else.
"""

from __future__ import annotations

import dataclasses
import enum
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from .compare import Rules
from .mismatch import OTHERS, Mismatch, Sample
from .observation import MARK

Written = Mapping[str, Any]  # a route's rules as its configuration has them: what `Rules.parse` takes

_FILE: Final = '''"""{sides} must agree on one request to the route {route}, by that route's rules; mismatch {id}.

    {command} python -m pytest {name}

{settings}

It compares as the strangler does that wrote it: run it where that is installed, or from its directory. Run it before
anything is mended, too: what hangs on more than is asked here, such as an address, passes then already.
"""

from __future__ import annotations

import http.client
import os
from urllib.parse import urlsplit

{imports}

DIFFERED = {differed}  # where, and how
CONTROL, CANDIDATE = {control}, {candidate}
STATUSES = {statuses}  # with which legacy answered then
ROUNDS = 5  # of which each must show it, for what comes and goes is noise
METHOD, TARGET = {method}, {target}
HEADERS = {headers}
VARIABLES = {variables}  # headers of which the names alone are known, and where their values are told
RULES = {rules}


def test_the_sides_agree() -> None:
    left: dict[Field, Difference] | None = None
    noise = frozenset[Field]()
    for _ in range(ROUNDS):
        control, candidate, again = answer(CONTROL), answer(CANDIDATE), answer(CONTROL)
        noise |= fields_of(compare(control, again, RULES, known=noise))
        found = {{field_of(each): each for each in compare(control, candidate, RULES, known=noise).differences}}
        left = {{each: found[each] for each in found.keys() - noise if left is None or each in left}}
        if not left:
            break
    assert not left, "\\n".join(sorted(map(told, left.values())))
    assert DIFFERED not in noise, f"{{CONTROL}} differs from itself there: first a rule must say what may differ"
    assert control.status in STATUSES, f"both answer {{control.status}}, which proves nothing: {asks}"


def told(difference: Difference) -> str:
    place, kind = difference.path or "the answer as a whole", difference.kind.value
    return f"{{place}}: {{kind}}; {{CONTROL}} has {{difference.control!r}}, {{CANDIDATE}} {{difference.candidate!r}}"


def answer(side: str) -> Observation:
    url = urlsplit(setting(f"{{side.upper()}}_URL"))
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.netloc, timeout=30)
    try:
        told = [(name, setting(variable)) for name, variable in VARIABLES.items()]
        host = os.environ.get("HOST") or urlsplit(setting("LEGACY_URL")).netloc
        connection.putrequest(METHOD, url.path.rstrip("/") + TARGET, skip_host=True, skip_accept_encoding=True)
        for name, value in [("host", host), *HEADERS, *told]:
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    assert response.getheader({mark}) != "refused", f"{{side}} answers no comparisons here: see docs/contract.md"
    headers = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in response.getheaders())
    return Observation(response.status, headers, body, complete=True, elapsed=0.0)


def setting(name: str) -> str:
    assert os.environ.get(name), f"{{name}} is not set; the top of this file says what it is"
    return os.environ[name]
'''
_URLS: Final = "{0}_URL"
# As the comparison asked: users are answered from caches that the sides may share, and are not kept from writing.
_MARKED: Final = (MARK.decode(), "exported")
_LOOKS: Final = {"authorization": "'Bearer …'", "cookie": "'name=…'"}
_WHOSE: Final = "the header {0} of a user who may ask this"
_ASKED: Final = "the header {0}, as the request had it: of its value nothing is kept"
_WHERE: Final = {"native": "where native listens; one in the proxy (native.app): `strangler handlers --listen …`"}


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
            f"never kept: a body, what looks like a token or an address in its target, more than {OTHERS} headers of "
            "which the names alone are kept, or one of them twice"
        )
    name = f"test_{re.sub(r'[^a-z0-9]+', '_', found.route.lower())}_{found.id}.py"
    return Exported(name, _text(found, sample, written, name))


def _text(found: Mismatch, sample: Sample, written: Written, name: str) -> str:
    sides = (sample.control_side, sample.candidate_side)
    urls = [
        (_URLS.format(side.upper()), "http://127.0.0.1:…", _WHERE.get(side, f"where {side} listens")) for side in sides
    ]
    variables = _variables(sample)
    held = [
        (variable, _LOOKS.get(each, "'…'"), (_WHOSE if each in sample.credentials else _ASKED).format(each))
        for each, variable in variables.items()
    ]
    settings = [*urls, *held]
    told = [*settings, ("HOST", "", "whom users ask; if it is not set, where legacy listens")]
    width = max(len(setting) for setting, _, _ in told) + 2
    modules = {
        "shadow.compare": {"compare"},
        "shadow.noise": {"Field", "field_of", "fields_of"},
        "shadow.observation": {"Observation"},
        "shadow.result": {"Difference"},
    }
    for each in (Rules, *_classes(written)):
        modules.setdefault(each.__module__, set()).add(each.__qualname__)
    imports = [f"from {module} import {', '.join(sorted(names))}" for module, names in sorted(modules.items())]
    return _FILE.format(
        sides=" and ".join(sides),
        route=found.route,
        id=found.id,
        name=name,
        command=" ".join(f"{setting}={value}" for setting, value, _ in settings),
        settings="\n".join(f"{setting:{width}}{about}" for setting, _, about in told),
        imports="\n".join(imports),
        differed=ascii((found.field, found.kind)),
        statuses=ascii(_statuses(sample)),
        asks=_in_vain(list(variables.values())),
        method=ascii(sample.method),
        target=ascii(sample.target),
        headers=ascii([*sample.headers, _MARKED]),
        variables=ascii(variables),
        rules=f"Rules.parse({', '.join(f'{name}={source(value)}' for name, value in written.items() if value)})",
        mark=ascii(MARK.decode()),
        control=ascii(sample.control_side),
        candidate=ascii(sample.candidate_side),
    )


def _statuses(sample: Sample) -> tuple[int, ...]:
    """What both must answer with, lest they agree in what tells nothing: legacy's, unless it had none."""
    known = dict(
        zip((sample.control_side, sample.candidate_side), (sample.control_status, sample.candidate_status), strict=True)
    )
    return tuple(filter(None, [known.get("legacy")])) or tuple(filter(None, known.values()))


def _variables(sample: Sample) -> dict[str, str]:
    """Where the test is told what is not kept. A header may be named as what every process is told: path, lang."""
    names = {each: each for each in sample.credentials} | {each: f"header_{each}" for each in sample.others}
    return {each: name.upper().replace("-", "_") for each, name in names.items()}


def _in_vain(told: Sequence[str]) -> str:
    """What to look at where both sides answer with a status that neither had."""
    return f"is {' or '.join(told)} still good, and what was asked still there?" if told else "is it still there?"


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
