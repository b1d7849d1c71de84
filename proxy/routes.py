"""Which route a request belongs to.  No I/O.

A request that no route matches goes to legacy, so the matcher errs in that direction: it matches only paths that
both sides cut into the same segments.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

_PARAMETER = re.compile(r"\{[A-Za-z_][A-Za-z0-9_]*\}")
_LITERAL = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})*")  # RFC 3986 §3.3, a segment


@dataclass(frozen=True, slots=True)
class Route:
    """A named method and path pattern of the public API."""

    name: str
    method: str
    pattern: str
    group: str = "default"

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f'"{self.method}" is not a method; use one of {", ".join(METHODS)}')
        _segments(self.pattern)

    @classmethod
    def parse(cls, name: str, match: str, group: str = "default") -> Route:
        """A route from the way people write one: `GET /api/v1/conversations/{id}`."""
        words = match.split()
        if len(words) != 2:
            raise ValueError(f'"{match}" is not a method and a path; write it like GET /api/v1/conversations/{{id}}')
        return cls(name, words[0], words[1], group)

    @property
    def shape(self) -> tuple[str, tuple[str | None, ...]]:
        """What the route matches, whatever its parameters are called: two routes of one shape collide."""
        return self.method, tuple(_segments(self.pattern))


def _segments(pattern: str) -> list[str | None]:
    """The pattern's segments, None for a parameter; ValueError says what is wrong with it."""
    if not pattern.startswith("/"):
        raise ValueError(f'"{pattern}" is not a path; a path begins with /')
    names: list[str] = []
    found: list[str | None] = []
    for segment in pattern[1:].split("/"):
        if _PARAMETER.fullmatch(segment):
            names.append(segment)
            found.append(None)
        elif "{" in segment or "}" in segment:
            raise ValueError(f'"{segment}" in {pattern} is no parameter; one is a whole segment, such as {{id}}')
        elif "?" in segment:
            raise ValueError(f"{pattern} has a query; routes are matched by the path alone")
        elif not _LITERAL.fullmatch(segment):
            raise ValueError(f'"{segment}" in {pattern} cannot occur in a path; percent-encode it')
        else:
            found.append(segment)
    if len(set(names)) < len(names):
        raise ValueError(f"{pattern} names two parameters alike")
    return found


@dataclass(slots=True)
class _Node:
    """A place in the tree of patterns.

    What it is asked for is interned: a thousand routes have few words, and what they have in common stays at hand.
    """

    literals: dict[str, _Node] = field(default_factory=dict)
    parameter: _Node | None = None
    routes: dict[str, Route] = field(default_factory=dict)

    def add(self, route: Route) -> None:
        node = self
        for segment in route.shape[1]:
            if segment is not None:
                node = node.literals.setdefault(sys.intern(segment), _Node())
            else:
                node.parameter = node.parameter or _Node()
                node = node.parameter
        other = node.routes.setdefault(sys.intern(route.method), route)
        if other is not route:
            raise ValueError(f"{route.method} {route.pattern} of {route.name} is already the route {other.name}")


class _State:
    """All the nodes that a path may have reached, most literal first, as one place: matching never turns back.

    There are few states, because patterns of one API seldom have a literal where another has a parameter.
    """

    __slots__ = ("literals", "parameter", "routes")

    def __init__(self, nodes: Sequence[_Node]) -> None:
        self.routes: dict[str, Route] = {}
        for node in nodes:
            for method, route in node.routes.items():
                self.routes.setdefault(method, route)
            if "GET" in node.routes:
                self.routes.setdefault("HEAD", node.routes["GET"])
        parameters = [node.parameter for node in nodes if node.parameter]
        self.parameter = _State(parameters) if parameters else None
        self.literals: dict[str, _State] = {}
        for literal in dict.fromkeys(literal for node in nodes for literal in node.literals):
            self.literals[literal] = _State(list(_reached(nodes, literal)))


def _reached(nodes: Sequence[_Node], segment: str) -> Iterator[_Node]:
    for node in nodes:
        if segment in node.literals:
            yield node.literals[segment]
        if node.parameter and _fills_parameter(segment):
            yield node.parameter


def _fills_parameter(segment: str) -> bool:
    """Whether a parameter may stand for this segment.

    Not with a dot: Rails reads `/conversations/1.json` as conversation 1 in a format, others as conversation "1.json".
    Not with an encoded slash: Rails reads `1%2Fmessages` as an id, a server that decodes first as two segments.
    """
    return segment != "" and "." not in segment and ("%" not in segment or "%2F" not in segment.upper())


class RouteTable:
    """All routes, immutable: a new configuration is a new table."""

    __slots__ = ("_longest", "_root", "routes")

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes: dict[str, Route] = {}
        tree = _Node()
        for route in routes:
            if self.routes.setdefault(route.name, route) is not route:
                raise ValueError(f"two routes are named {route.name}")
            tree.add(route)
        self._root = _State([tree])
        self._longest = max((route.pattern.count("/") for route in self.routes.values()), default=0)

    def match(self, method: str, raw_path: bytes | str) -> Route | None:
        """The most literal route that matches the path as it was sent, in time O(segments); a query is not looked at.

        Nothing is decoded or squeezed first: Rails answers 404 to `/%61pi`, and `//`, `..` and a trailing slash are
        left for legacy to interpret.
        """
        path = raw_path if isinstance(raw_path, str) else raw_path.decode("latin-1")
        if "?" in path:
            path = path[: path.index("?")]
        segments = path.split("/", self._longest + 1)
        if segments[0] or len(segments) > self._longest + 1:
            return None
        state = self._root
        for segment in segments[1:]:
            following = state.literals.get(segment)
            if following is None:
                following = state.parameter
                if following is None or not _fills_parameter(segment):
                    return None
            state = following
        return state.routes.get(method)
