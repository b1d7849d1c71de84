from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.routes import Route, RouteTable

TABLE = RouteTable(
    [
        Route("conversations.list", "GET", "/api/v1/conversations"),
        Route("conversations.show", "GET", "/api/v1/conversations/{id}"),
        Route("conversations.mine", "GET", "/api/v1/conversations/mine"),
        Route("messages.list", "GET", "/api/v1/conversations/{id}/messages"),
        Route("messages.create", "POST", "/api/v1/messages"),
    ]
)


def name(method: str, path: str | bytes, table: RouteTable = TABLE) -> str | None:
    route = table.match(method, path)
    return route.name if route else None


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/api/v1/conversations", "conversations.list"),
        ("GET", b"/api/v1/conversations", "conversations.list"),
        ("GET", "/api/v1/conversations/17", "conversations.show"),
        ("GET", "/api/v1/conversations/17/messages", "messages.list"),
        ("POST", "/api/v1/messages", "messages.create"),
        ("HEAD", "/api/v1/conversations/17", "conversations.show"),
        ("GET", "/api/v1/conversations?limit=5", "conversations.list"),
        ("GET", "/api/v1/conversations/17?a=/messages", "conversations.show"),
        ("GET", "/api/v1/conversations/a%20b", "conversations.show"),
        ("GET", b"/api/v1/conversations/\xff", "conversations.show"),
    ],
)
def test_a_path_of_a_route_is_matched(method: str, path: str | bytes, expected: str) -> None:
    assert name(method, path) == expected


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v1/conversations"),
        ("HEAD", "/api/v1/messages"),
        ("get", "/api/v1/conversations"),
        ("GET", "/api/v1/conversations/"),
        ("GET", "/api/v1/conversations/17/"),
        ("GET", "/api/v1/conversations//messages"),
        ("GET", "//api/v1/conversations"),
        ("GET", "/api/v1//conversations"),
        ("GET", "/api/v1/x/../conversations"),
        ("GET", "/api/v1/conversations/.."),
        ("GET", "/API/v1/conversations"),
        ("GET", "/api/v1/conversations/17/messages/9"),
        ("GET", "/api/v1"),
        ("GET", "/"),
        ("GET", ""),
        ("GET", "*"),
        ("GET", "api/v1/conversations"),
        ("GET", "?/api/v1/conversations"),
    ],
)
def test_whatever_is_not_exactly_a_route_is_left_to_legacy(method: str, path: str) -> None:
    assert name(method, path) is None


@pytest.mark.parametrize(
    "path",
    [
        "/%61pi/v1/conversations",  # Rails compares what was sent, and answers 404
        "/api/v1/conversations.json",  # a format to Rails
        "/api/v1/conversations/17.json",
        "/api/v1/conversations/17%2Fmessages",  # one segment to Rails, two to a server that decodes first
        "/api/v1/conversations/17%2fmessages",
        "/api/v1%2Fconversations",
    ],
)
def test_a_path_that_two_servers_may_read_differently_is_left_to_legacy(path: str) -> None:
    assert name("GET", path) is None


def test_a_literal_wins_over_a_parameter() -> None:
    assert name("GET", "/api/v1/conversations/mine") == "conversations.mine"


def test_a_literal_that_leads_nowhere_does_not_hide_a_parameter() -> None:
    assert name("GET", "/api/v1/conversations/mine/messages") == "messages.list"


def test_a_literal_of_another_method_does_not_hide_a_parameter() -> None:
    table = RouteTable([Route("show", "GET", "/a/{id}"), Route("search", "POST", "/a/search")])
    assert name("GET", "/a/search", table) == "show"
    assert name("POST", "/a/search", table) == "search"


def test_the_earlier_literal_decides_between_two_patterns() -> None:
    table = RouteTable([Route("late", "GET", "/{a}/x"), Route("early", "GET", "/x/{b}")])
    assert name("GET", "/x/x", table) == "early"


def test_head_may_have_a_route_of_its_own() -> None:
    table = RouteTable([Route("get", "GET", "/a"), Route("head", "HEAD", "/a")])
    assert name("HEAD", "/a", table) == "head"


def test_a_pattern_may_end_in_a_slash_and_then_matches_only_itself() -> None:
    table = RouteTable([Route("root", "GET", "/"), Route("folder", "GET", "/a/")])
    assert name("GET", "/", table) == "root"
    assert name("GET", "/a/", table) == "folder"
    assert name("GET", "/a", table) is None


def test_an_empty_table_matches_nothing() -> None:
    assert RouteTable([]).match("GET", "/") is None


@pytest.mark.parametrize(
    ("match", "words"),
    [
        ("/users", "not a method and a path"),
        ("GET /users twice", "not a method and a path"),
        ("", "not a method and a path"),
        ("get /users", '"get" is not a method'),
        ("FETCH /users", '"FETCH" is not a method'),
        ("GET users", "begins with /"),
        ("GET /users/{id", "is no parameter"),
        ("GET /users/id}", "is no parameter"),
        ("GET /users/{}", "is no parameter"),
        ("GET /users/{1}", "is no parameter"),
        ("GET /users/{id}.json", "is no parameter"),
        ("GET /users?active=1", "has a query"),
        ("GET /müller", "percent-encode"),
        ("GET /50%", "percent-encode"),
        ("GET /a#b", "percent-encode"),
        ("GET /a/{id}/b/{id}", "names two parameters alike"),
    ],
)
def test_a_pattern_that_cannot_be_meant_is_refused_with_the_reason(match: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        Route.parse("r", match)


def test_two_routes_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two routes are named a"):
        RouteTable([Route("a", "GET", "/a"), Route("a", "GET", "/b")])


def test_two_routes_that_match_the_same_are_refused() -> None:
    with pytest.raises(ValueError, match="of b is already the route a"):
        RouteTable([Route("a", "GET", "/x/{id}"), Route("b", "GET", "/x/{key}")])


def test_the_time_does_not_depend_on_the_number_of_routes_or_on_turning_back() -> None:
    """Twelve levels where every step could be a literal or a parameter: a matcher that turns back tries 4 096 paths."""
    looked_up: list[str] = []

    class Counted(str):
        __slots__ = ()

        def split(self, *args: object) -> list[str]:
            return [Segment(part) for part in str(self).split("/")]

    class Segment(str):
        __slots__ = ()

        def __hash__(self) -> int:
            looked_up.append(self)
            return super().__hash__()

        __eq__ = str.__eq__

    routes = [
        Route(f"r{bits}", "GET", "".join(f"/{{p{i}}}" if bits >> i & 1 else "/x" for i in range(12)) + f"/{bits}")
        for bits in range(256)
    ]
    RouteTable(routes).match("GET", Counted("/x" * 12 + "/nowhere"))
    assert 0 < len(looked_up) <= 2 * 13


SEGMENTS = st.sampled_from(["a", "b", "c.d", "{p}", ""])
PATHS = st.lists(st.sampled_from(["a", "b", "c.d", "e", "", "..", "%2F", "%61"]), min_size=1, max_size=5)


def naive(routes: list[Route], method: str, path: str) -> Route | None:
    """Every pattern as a regular expression; the most literal one, read from the left, wins."""

    def key(route: Route) -> tuple[list[bool], bool]:
        return [part.startswith("{") for part in route.pattern.split("/")], route.method != method

    asked = {method, "GET"} if method == "HEAD" else {method}
    fitting = [
        route
        for route in routes
        if route.method in asked
        and re.fullmatch(re.sub(r"\\\{\w+\\\}", r"(?:(?!%2F)[^/.])+", re.escape(route.pattern)), path)
    ]
    return min(fitting, key=key, default=None)


@st.composite
def tables(draw: st.DrawFn) -> list[Route]:
    drawn = draw(
        st.lists(st.tuples(st.sampled_from(["GET", "HEAD", "POST"]), st.lists(SEGMENTS, min_size=1, max_size=4)))
    )
    routes: dict[object, Route] = {}
    for index, (method, segments) in enumerate(drawn):
        pattern = "".join(f"/{{p{at}}}" if part == "{p}" else f"/{part}" for at, part in enumerate(segments))
        route = Route(str(index), method, pattern)
        routes.setdefault(route.shape, route)
    return list(routes.values())


@given(tables(), st.sampled_from(["GET", "HEAD", "POST"]), PATHS)
def test_the_table_agrees_with_regular_expressions(routes: list[Route], method: str, segments: list[str]) -> None:
    path = "/" + "/".join(segments)
    assert RouteTable(routes).match(method, path) == naive(routes, method, path)


@given(st.binary())
def test_no_path_makes_the_matcher_raise(path: bytes) -> None:
    TABLE.match("GET", path)
