from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.replay.question import HTTP, Choice, Question, Reason, Recorded, Skipped, choices
from proxy.routes import Route, RouteTable

TABLE = RouteTable(
    [
        Route.parse("users.list", "GET /users"),
        Route.parse("users.show", "GET /users/{id}"),
        Route.parse("users.make", "POST /users"),
        Route.parse("resets.show", "GET /password_resets/{id}"),
    ]
)
CHOICE = Choice(TABLE)
GIVEN = (
    ("Accept", "application/json"),
    ("Cookie", "_session_id=hunter2"),
    ("Authorization", "Bearer hunter2"),
    ("X-Api-Key", "hunter2"),
    ("If-None-Match", '"1"'),
    (":authority", "api.example.com"),
    ("Host", "elsewhere.example.com"),
    ("X-Forwarded-For", "10.0.0.7"),
    ("X-Request-Id", "r1"),
    ("Content-Length", "17"),
    ("Transfer-Encoding", "chunked"),
    ("Connection", "upgrade"),
)


def asked(target: str, method: str = "GET", choice: Choice = CHOICE, *headers: tuple[str, str]) -> Question | Skipped:
    return choice(Recorded(5, method, target, headers))


def why(target: str, method: str = "GET", choice: Choice = CHOICE) -> Reason | None:
    found = asked(target, method, choice)
    assert isinstance(found, Question) or found.number == 5
    return found.reason if isinstance(found, Skipped) else None


@pytest.mark.parametrize(
    ("target", "sent", "scheme"),
    [
        ("/users/7?full=1&a=%2F", b"/users/7?full=1&a=%2F", HTTP),
        ("/users#top", b"/users", HTTP),
        ("http://api.example.com/users?a=1#top", b"/users?a=1", HTTP),
        ("HTTPS://user:x@api.example.com:8443/users", b"/users", "https"),
    ],
)
def test_a_request_of_a_route_is_asked_as_it_was(target: str, sent: bytes, scheme: str) -> None:
    found = asked(target)
    assert isinstance(found, Question)
    assert (found.target, found.scheme, found.method) == (sent, scheme, "GET")


@pytest.mark.parametrize(
    ("method", "target", "reason"),
    [
        ("POST", "/users", Reason.UNSAFE),
        ("PATCH", "/users/7", Reason.UNSAFE),
        ("HEAD", "/users", None),
        ("OPTIONS", "/users", Reason.NO_ROUTE),
        ("OPTIONS", "*", Reason.NO_ROUTE),
        ("GET", "/", Reason.NO_ROUTE),
        ("GET", "http://api.example.com", Reason.NO_ROUTE),
        ("GET", "http://api.example.com?a=1", Reason.NO_ROUTE),
        ("GET", "wss://api.example.com/users", Reason.NOT_HTTP),
        ("GET", "data:image/png;base64,AAAA", Reason.NOT_HTTP),
        ("GET", "chrome-extension://abcdef/users", Reason.NOT_HTTP),
        ("GET", "*", Reason.MALFORMED),
        ("GET", "", Reason.MALFORMED),
        ("GET", "users", Reason.MALFORMED),
        ("GET", "/users?a=\u00e9", Reason.MALFORMED),
        ("GET", "/users?a=b c", Reason.MALFORMED),
        ("GET", "/users?" + "a" * 20_000, Reason.MALFORMED),
        ("get", "/users", Reason.MALFORMED),
        ("", "/users", Reason.MALFORMED),
        ("GET", "/users/[redacted]", Reason.REDACTED),
    ],
)
def test_what_is_not_asked_says_why(method: str, target: str, reason: Reason | None) -> None:
    assert why(target, method) is reason


@pytest.mark.parametrize(
    "end", ["\r\nX-Admin: 1", "\n", "\r", " HTTP/1.1\r\nHost: x\r\n\r\nDELETE /users/7", "\x00", "\t"]
)
@pytest.mark.parametrize("before", ["/users", "http://api.example.com/users"])
def test_no_line_of_a_request_ends_in_what_a_file_says(before: str, end: str) -> None:
    assert why(before + end) is Reason.MALFORMED
    assert why("/users", "GET" + end) is Reason.MALFORMED
    found = asked("/users", "GET", Choice(TABLE, send_credentials=True), ("x-a" + end, "1"), ("x-b", "1" + end))
    assert isinstance(found, Question)
    assert found.headers == ((b"x-b", b"1\t"),) if end == "\t" else found.headers == ()


@pytest.mark.parametrize(
    ("target", "said", "scheme"),
    [
        ("/users", ["https"], "https"),
        ("http://api.example.com/users", ["https"], "https"),
        ("https://api.example.com/users", ["http"], "https"),
        ("/users", ["http"], HTTP),
        ("/users", ["https, http"], "https"),
        ("/users", ["http", "https"], HTTP),
        ("/users", ["gopher"], HTTP),
        ("/users", [], HTTP),
    ],
)
def test_the_scheme_is_what_the_file_tells_of_the_users(target: str, said: list[str], scheme: str) -> None:
    found = asked(target, "GET", CHOICE, *(("X-Forwarded-Proto", value) for value in said))
    assert isinstance(found, Question)
    assert (found.scheme, found.headers) == (scheme, ())


def test_a_request_is_asked_whole_or_not_at_all_where_the_file_has_names_of_headers_alone() -> None:
    recorded = Recorded(5, "GET", "/users", (), frozenset({"x-tenant", "authorization"}))
    assert CHOICE(recorded) == Skipped(5, Reason.WITHHELD)
    assert Choice(TABLE, given=frozenset({"authorization"}))(recorded) == Skipped(5, Reason.WITHHELD)
    told = Choice(TABLE, given=frozenset({"authorization", "x-tenant", "accept"}))(recorded)
    assert isinstance(told, Question)


def test_nobodys_credentials_are_sent_unless_that_is_said() -> None:
    found = asked("/users", "GET", CHOICE, *GIVEN)
    assert isinstance(found, Question)
    assert found.headers == ((b"accept", b"application/json"), (b"if-none-match", b'"1"'))
    with_them = asked("/users", "GET", Choice(TABLE, send_credentials=True), *GIVEN)
    assert isinstance(with_them, Question)
    assert [name for name, _ in with_them.headers] == [
        b"accept",
        b"cookie",
        b"authorization",
        b"x-api-key",
        b"if-none-match",
    ]


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("/users?token=abc", Reason.SECRET),
        ("/users?a=1&access%5Ftoken=abc", Reason.SECRET),
        ("/users?a=1;email=anna%40example.com", Reason.SECRET),
        ("/password_resets/abc", Reason.SECRET),
        ("/users?page=2&author=7&cursor=" + "a" * 80, None),
        ("/users?token", None),
    ],
)
def test_an_address_that_opens_a_door_is_such_a_credential(target: str, reason: Reason | None) -> None:
    assert why(target) is reason
    assert why(target, choice=Choice(TABLE, send_credentials=True)) is None


def test_only_some_routes_are_asked_if_that_is_said_and_never_those_that_legacy_is_spared() -> None:
    only = Choice(TABLE, only=frozenset({"users.show"}), spared=frozenset({"users.list"}))
    assert why("/users/7", choice=only) is None
    assert why("/users", choice=only) is Reason.OTHER_ROUTE
    assert why("/users", choice=Choice(TABLE, spared=frozenset({"users.list"}))) is Reason.SPARED


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("https://api.example.com/users", None),
        ("https://API.example.com/users", None),
        ("https://tracker.example.net/users", Reason.OTHER_HOST),
        ("/users", None),
    ],
)
def test_what_went_to_another_host_is_not_meant(target: str, reason: Reason | None) -> None:
    assert why(target, choice=Choice(TABLE, host="api.example.com")) is reason


@given(st.text() | st.from_regex(r"/users[!-~]{0,9}"), st.sampled_from(["GET", "HEAD", "POST"]) | st.text(max_size=4))
def test_whatever_a_file_says_a_question_is_one_request(target: str, method: str) -> None:
    found = asked(target, method)
    if isinstance(found, Question):
        assert found.method in ("GET", "HEAD")
        assert found.target.startswith(b"/")
        assert all(0x20 < byte < 0x7F for byte in found.target)


def test_a_question_waits_for_nothing_that_is_passed_over() -> None:
    read = [
        Recorded(1, "POST", "/users"),
        Recorded(2, "GET", "/users"),
        Skipped(3, Reason.MALFORMED),
        Recorded(4, "PUT", "/"),
    ]
    found = list(choices(CHOICE, read))
    assert [len(few) for few in found] == [2, 2]
    assert isinstance(found[0][1], Question)
    assert list(choices(CHOICE, [])) == []
    assert [len(few) for few in choices(CHOICE, [Skipped(1, Reason.MALFORMED)] * 1001)] == [1000, 1]
