from __future__ import annotations

from typing import Any

import pytest

from shadow.headers import differences
from shadow.observation import Observation
from shadow.result import Kind
from shadow.rules import Rules
from tests.shadow.answers import answer

SESSION = b"_session_id=abc; path=/; HttpOnly; SameSite=Lax"


def found(control: bytes, candidate: bytes, **rules: Any) -> list[tuple[str | None, str, Any, Any, str | None]]:
    """What differs of two answers that set one cookie each, or none."""
    a, b = (answer(b"x", *([(b"set-cookie", line)] if line else [])) for line in (control, candidate))
    return [
        (str(each.path), each.kind.value, *each[1:3], each.rule) for each in differences(a, b, Rules.parse(**rules))
    ]


@pytest.mark.parametrize(
    "candidate",
    [
        b"_session_id=other; path=/; HttpOnly; SameSite=Lax",
        b"_session_id=abc; samesite=lax;httponly ; Path=/",
    ],
)
def test_a_cookie_is_compared_by_its_name_and_attributes(candidate: bytes) -> None:
    assert found(SESSION, candidate) == []


@pytest.mark.parametrize(
    "candidate",
    [
        b"_session_id=abc; path=/; SameSite=Lax",
        b"_session_id=abc; path=/; HttpOnly; SameSite=None",
        b"_session_id=abc; path=/API; HttpOnly; SameSite=Lax",
        b"_session_id=abc; path=/; HttpOnly; SameSite=Lax; Secure",
        b"_session_id=abc; path=/; HttpOnly; SameSite=Lax; Max-Age=0",
    ],
)
def test_an_attribute_that_differs_is_found_and_no_value_is_told(candidate: bytes) -> None:
    ((path, kind, control, told, rule),) = found(SESSION, candidate)
    assert (path, kind, rule) == ("headers.set-cookie._session_id", Kind.HEADER.value, None)
    assert control == "_session_id=…; httponly; path=/; samesite=lax"
    assert told.startswith("_session_id=…; ")
    assert "abc" not in told


def test_a_cookie_that_only_one_side_sets_is_missing_or_extra() -> None:
    missing, extra = found(SESSION, b""), found(b"", SESSION)
    assert [each[:2] for each in missing + extra] == [
        ("headers.set-cookie._session_id", "missing"),
        ("headers.set-cookie._session_id", "extra"),
    ]


def test_values_are_compared_where_the_rules_ask_for_them() -> None:
    ((path, kind, control, told, _),) = found(b"theme=dark", b"theme=light", cookies=["theme"])
    assert (path, kind, control, told) == ("headers.set-cookie.theme", "header", "theme=dark", "theme=light")
    assert found(b"theme=dark", b"theme=dark; ", cookies=["theme"]) == []


def test_when_a_cookie_expires_does_not_matter_but_whether_it_does() -> None:
    soon, later, past = (
        b"a=1; expires=Tue, 13 Jan 2026 10:00:00 GMT",
        b"a=2; Expires=Tue, 13 Jan 2026 10:00:01 GMT",
        b"a=; expires=Thu, 01 Jan 1970 00:00:00 GMT",
    )
    assert found(soon, later) == []
    assert len(found(soon, b"a=1")) == len(found(soon, past)) == 1


@pytest.mark.parametrize(
    ("expires", "gone"),
    [
        (b"Thu, 01 Jan 1970 00:00:00 GMT", True),
        (b"Fri, 31-Dec-1999 00:00:00 GMT", True),
        (b"Tue, 13 Jan 2026 10:00:00 GMT", True),
        (b"Tue, 13 Jan 2026 10:00:01 GMT", False),
        (b"Fri, 31 Dec 2027 00:00:00", False),
        (b"Mon, 13 Jan 99999999 10:00:00 GMT", False),
        (b"soon", False),
    ],
)
def test_whether_a_cookie_has_expired_is_told_by_the_answers_date_or_else_by_the_clock(
    expires: bytes, gone: bool
) -> None:
    now = 1_768_298_400.0
    date = (b"date", b"Tue, 13 Jan 2026 10:00:00 GMT")
    taken = answer(b"x", (b"set-cookie", b"a=; expires=Thu, 01 Jan 1970 00:00:00 GMT"))
    line = (b"set-cookie", b"a=1; expires=" + expires)
    for told in (answer(b"x", line), answer(b"x", line, (b"date", b"today"))):
        assert bool(list(differences(taken, told, Rules(), now))) is not gone
    assert bool(list(differences(taken, answer(b"x", line, date), Rules(), 0.0))) is not gone


def test_no_cookies_name_makes_a_path_longer_than_anyone_reads() -> None:
    ((path, *_),) = found(b"n" * 60_000 + b"=1; path=/", b"", ignore=["headers.set-cookie.other"])
    assert path is not None
    assert len(path) < 500


@pytest.mark.parametrize("rule", ["headers.set-cookie", "headers.set-cookie._session_id"])
def test_cookies_can_be_ignored_all_or_by_name(rule: str) -> None:
    assert [each[-1] for each in found(SESSION, b"", ignore=[rule])] == [f"ignore {rule}"]
    assert [each[-1] for each in found(b"other=1", b"", ignore=["headers.set-cookie._session_id"])] == [None]


def etags(control: bytes, candidate: bytes, other: bytes = b"x") -> int:
    a, b = answer(b"x", (b"etag", control)), answer(other, (b"etag", candidate))
    return len(list(differences(a, b, Rules())))


def test_an_etag_is_compared_strongly_and_only_where_the_bytes_are_the_same() -> None:
    assert etags(b'"1"', b'"1"') == etags(b'W/"1"', b'W/"1"') == 0
    assert etags(b'"1"', b'"2"') == etags(b'W/"1"', b'"1"') == etags(b'W/"1"', b'W/"2"') == 1
    assert etags(b'"1"', b'"2"', b"y") == etags(b'W/"1"', b'W/"2"', b"y") == 0


def test_that_there_is_an_etag_and_whether_it_is_weak_matters_whatever_the_bytes_are() -> None:
    assert etags(b'W/"1"', b'"1"', b"y") == etags(b'"1"', b'W/"1"', b"y") == 1
    tagged, bare = answer(b"", (b"etag", b'"1"'), status=304), answer(b"", status=304)
    assert [each.path for each in differences(tagged, bare, Rules())] == ["headers.etag"]
    assert list(differences(tagged, answer(b"", (b"etag", b'"2"'), status=304), Rules())) == []
    assert list(differences(tagged, answer(b"sorry", status=500), Rules())) == []  # an error has none of its own


def test_who_compresses_an_answer_may_weaken_its_etag_but_not_lose_it() -> None:
    packed = answer(b"\x1f\x8b", (b"content-encoding", b"gzip"), (b"etag", b'W/"1"'))
    assert list(differences(packed, answer(b"x", (b"etag", b'"1"')), Rules())) == []
    assert [each.path for each in differences(packed, answer(b"x"), Rules())] == ["headers.etag"]


def test_vary_is_a_set() -> None:
    a = answer(b"x", (b"vary", b"Accept, Origin"))
    b, c = answer(b"x", (b"vary", b"origin"), (b"vary", b"accept")), answer(b"x", (b"vary", b"origin"))
    rules = Rules.parse(headers=["Vary"])
    assert list(differences(a, b, rules)) == []
    assert [each.path for each in differences(a, c, rules)] == ["headers.vary"]


def cookies(*lines: bytes) -> Observation:
    return answer(b"x", *((b"set-cookie", line) for line in lines))


def test_cookies_of_one_name_are_told_apart_by_domain_and_path() -> None:
    root, admin, api = b"sid=1; Path=/", b"sid=2; path=/admin; Secure", b"sid=3; path=/api"
    both = cookies(root, admin)
    (missing,) = differences(both, cookies(root), Rules())
    (extra,) = differences(cookies(root), cookies(b"sid=1; Path=/; Domain=example.org", root), Rules())
    assert missing == (Kind.MISSING, "sid=…; path=/admin; secure", None, "headers.set-cookie.sid", None)
    assert extra[:3] == (Kind.EXTRA, None, "sid=…; domain=example.org; path=/")
    assert list(differences(both, cookies(admin, root), Rules())) == []
    changed = list(differences(cookies(root, api), cookies(admin, root), Rules()))
    assert [each[:3] for each in changed] == [(Kind.HEADER, "sid=…; path=/api", "sid=…; path=/admin; secure")]


def test_of_cookies_that_are_one_and_of_attributes_given_twice_the_last_counts() -> None:
    twice = cookies(b"theme=light; path=/", b"theme=dark; path=/x; Path=/")
    assert list(differences(twice, cookies(b"theme=dark; path=/"), Rules.parse(cookies=["theme"]))) == []


def test_a_cookie_without_a_name_is_not_called_by_its_value() -> None:
    ((path, kind, control, *_),) = found(b"s3cr3tSessionValue; HttpOnly", b"")
    assert (path, kind, control) == ("headers.set-cookie.", "missing", "=…; httponly")
    assert found(b"hunter2; Path=/", b"hunter3; Path=/") == []


def test_only_attributes_that_browsers_know_are_told_and_not_what_is_folded_into_them() -> None:
    folded = b"a=1; Path=/, sid=hunter2; HttpOnly, sid=hunter2; sid=hunter2; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
    ((_, _, control, _, _),) = found(folded, b"")
    assert control == "a=…; expires=past; path=/…"
    assert found(folded, folded.replace(b"hunter2", b"hunter3")) == []
    assert found(b"a=1; Secure", b"a=1; secure=true; color=red") == []
