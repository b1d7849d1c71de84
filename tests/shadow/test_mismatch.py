from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from shadow.compare import Difference, Kind
from shadow.excerpt import Excerpt
from shadow.mismatch import (
    OTHERS,
    Act,
    Finding,
    Mismatch,
    State,
    decode_act,
    decode_sample,
    encode_act,
    encode_sample,
    identity,
    seen,
)
from shadow.stakes import Often

SALT = b"s" * 16
FINDING = Finding(1.5, "list", "GET", "/things?a=1", (), False, "r", "legacy", "native", 200, 200, ())


def fields(*paths: str) -> list[tuple[str, str]]:
    """What the journal is told of differences at these places, and where it saw them."""
    differences = tuple(Difference(path, Kind.VALUE, 1, 2) for path in paths)
    return [(told.field, told.sample.path) for told in seen(replace(FINDING, differences=differences), SALT)]


def request(**told: Any) -> Any:
    """What is kept of a request."""
    (found,) = seen(replace(FINDING, differences=(Difference("", Kind.STATUS, 200, 500),), **told), SALT)
    return found.sample


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("data.name", "data.name"),
        ("", ""),
        ("data[12].tags[0]", "data[*].tags[*]"),
        ("[3]", "[*]"),
        ('data["[3]"].x', 'data["[3]"].x'),
        (r'data["a\"[3]"][3]', r'data["a\"[3]"][*]'),
        ("headers.etag", "headers.etag"),
        ("byId.17.name", "byId[*].name"),
    ],
)
def test_a_field_is_a_path_whatever_its_indices(path: str, field: str) -> None:
    assert fields(path) == [(field, path)]


def test_a_field_is_told_once_by_its_first_place() -> None:
    assert fields("data[1].a", "data[2].a", "data[2].b") == [("data[*].a", "data[1].a"), ("data[*].b", "data[2].b")]


def test_how_noisy_a_field_is_is_kept_with_the_sample() -> None:
    often = {("data[*].a", "value"): Often(4, 9, 1, 8, 0.25)}
    differences = (Difference("data[1].a", Kind.VALUE, 1, 2), Difference("data[1].b", Kind.VALUE, 1, 2))
    a, b = (told.sample for told in seen(replace(FINDING, differences=differences, often=often), SALT))
    assert (a.often, b.often) == (Often(4, 9, 1, 8, 0.25), None)
    assert [decode_sample(encode_sample(each)) for each in (a, b)] == [a, b]
    earlier = json.loads(encode_sample(a))
    del earlier["often"]
    assert decode_sample(json.dumps(earlier)) == replace(a, often=None)


def test_fields_of_which_something_is_hidden_are_told_apart() -> None:
    """A key of forty characters may be a token, and of a long path not all is kept."""
    names = ["k" * 40, "l" * 40, "m" * 20 + "." + "n o" * 100, "m" * 20 + "." + "n o" * 101]
    found = [name for name, _ in fields(*names, *names)]
    assert len(set(found)) == len(found) == 4
    assert [name.partition("#")[0] for name in found[:2]] == ["[redacted]"] * 2
    (again,) = seen(replace(FINDING, differences=(Difference(names[0], Kind.VALUE, 1, 2),)), b"t" * 16)
    assert again.field != found[0]  # who has not the salt cannot find the key by trying


def test_a_key_below_a_telling_name_is_told_only_if_it_reads_like_a_name() -> None:
    """Of an object that is looked up by tokens the keys are secrets, too."""
    tokens = "pX27zsMN2ViQKta1bGfLmVJE", "qY27zsMN2ViQKta1bGfLmVJE"
    one, two, name = fields(*(f"tokens.{token}.lastUsed" for token in tokens), "session.user.expiresAt")
    assert one[0] != two[0]
    assert {(each[0].partition("#")[0], each[1]) for each in (one, two)} == {("tokens.[redacted].lastUsed",) * 2}
    assert name == ("session.user.expiresAt",) * 2


def test_two_kinds_in_one_field_are_two_mismatches() -> None:
    differences = (Difference("data", Kind.LENGTH, 1, 2), Difference("data", Kind.TYPE, 1, "a"))
    told = list(seen(replace(FINDING, differences=differences), SALT))
    assert [each.kind for each in told] == ["length", "type"]
    assert len({each.id for each in told}) == 2


def test_an_id_is_of_its_route_field_and_kind_alone() -> None:
    (one,) = seen(replace(FINDING, differences=(Difference("data[1].a", Kind.VALUE, 1, 2),)), SALT)
    other = replace(FINDING, at=9.0, control_side="native", differences=(Difference("data[7].a", Kind.VALUE, 3, 4),))
    (two,) = seen(other, b"t" * 16)
    assert one.id == two.id == identity("list", "data[*].a", "value")


@pytest.mark.parametrize(
    "told",
    [
        {"target": "/users/ada@example.org"},
        {"target": "/things?token=hunter2"},
        {"target": "/things?" + "a=1&" * 200},
        {"target": "/caf\xe9"},
        {"headers": [("X.Tenant", "7")]},
        {"headers": [("X-" + "k" * 40, "7")]},
        {"headers": [("X-Tenant", "7"), ("x-tenant", "8")]},
        {"headers": [(f"X-{number}", "7") for number in range(OTHERS + 1)]},
        {"has_body": True},
    ],
)
def test_a_request_that_is_not_kept_as_it_was_asked_cannot_be_repeated(told: dict[str, Any]) -> None:
    assert request().repeatable
    assert not request(**told).repeatable


def test_of_credentials_only_is_kept_that_they_were_there() -> None:
    given = [("Cookie", "sid=hunter2"), ("authorization", "Bearer hunter2"), ("X-Api-Key", "hunter2"), ("Range", "b=1")]
    sample = request(headers=given)
    assert (sample.credentials, sample.headers, sample.repeatable) == (
        ("authorization", "cookie", "x-api-key"),
        (("range", "b=1"),),
        True,
    )
    assert "hunter2" not in repr(sample)


def test_of_a_header_that_may_not_be_seen_its_name_is_kept_if_the_answer_may_depend_on_it() -> None:
    given = [
        ("Accept", "text/html; who=ada@example.org"),
        ("If-None-Match", '"' + "k" * 40 + '"'),
        ("Origin", "https://ada.example.org"),
        ("X-Tenant", "hunter2"),
        ("X-Forwarded-User", "ada"),
        ("User-Agent", "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Mobile/15E148"),
    ]
    sample = request(headers=given)
    assert sample.others == ("accept", "if-none-match", "origin", "x-forwarded-user", "x-tenant")
    assert (sample.headers, sample.repeatable) == ((("user-agent", given[-1][1]),), True)
    assert not re.search("ada|hunter2|kkk", repr(sample))


@pytest.mark.parametrize(
    "header",
    [
        *("Host", "Content-Length", "Content-Type", "Transfer-Encoding", "TE", "Expect"),
        *("Via", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Real-Ip", "True-Client-Ip"),
        *("X-Request-Id", "X-Correlation-Id", "Traceparent", "Tracestate", "Baggage", "X-B3-TraceId", "Sentry-Trace"),
        *("X-Amzn-Trace-Id", "CF-Ray", "CF-Connecting-IP", "CDN-Loop", "X-Strangler-Shadow", "X-Request-Start"),
        *("Sec-Fetch-Site", "Sec-Ch-Ua", "DNT", "Priority", "Referer", "Cache-Control", "Pragma"),
        "Upgrade-Insecure-Requests",
    ],
)
def test_nothing_is_kept_of_what_the_way_and_every_browser_add(header: str) -> None:
    sample = request(headers=[(header, "hunter2")])
    assert (sample.headers, sample.credentials, sample.others, sample.repeatable) == ((), (), (), True)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (["https"], [("x-forwarded-proto", "https")]),
        (["http"], [("x-forwarded-proto", "http")]),
        (["https, http"], [("x-forwarded-proto", "https, http")]),
        (["https, ada"], []),
        ([], []),
    ],
)
def test_the_scheme_by_which_the_user_came_is_kept(said: list[str], kept: list[tuple[str, str]]) -> None:
    sample = request(headers=[("X-Forwarded-Proto", value) for value in said])
    assert (list(sample.headers), sample.others, sample.repeatable) == (kept, (), True)


def test_a_sample_of_before_headers_were_kept_by_name_can_be_read() -> None:
    sample = request(headers=[("Accept", "text/html"), ("X-Tenant", "7")])
    earlier = json.loads(encode_sample(sample))
    assert earlier.pop("others") == ["x-tenant"]
    assert decode_sample(json.dumps(earlier)) == replace(sample, others=())


def test_a_sample_and_an_act_come_back_from_their_text() -> None:
    sample = replace(
        request(headers=[("Accept", "ü"), ("X-Tenant", "7")]),
        control=Excerpt("text", 3, "aa"),
        candidate=Excerpt("absent"),
    )
    assert decode_sample(encode_sample(sample)) == sample
    act = Act(1.5, "Anna", "ü", State.MUTED, 7.0)
    assert decode_act(encode_act(act)) == act


ACTED = Mismatch("1", "list", "a", "value", 1, 1.0, 1.0)


@pytest.mark.parametrize(
    ("act", "reopened", "state"),
    [
        (None, None, State.OPEN),
        (Act(1.0, "", "", State.RESOLVED), None, State.RESOLVED),
        (Act(1.0, "", "", State.RESOLVED), 5.0, State.OPEN),
        (Act(1.0, "", "", State.MUTED, 10.5), None, State.MUTED),
        (Act(1.0, "", "", State.MUTED, 10.0), None, State.OPEN),
        (Act(1.0, "", "", State.MUTED), None, State.OPEN),
    ],
)
def test_the_state_is_what_was_made_of_it_as_long_as_that_holds(
    act: Act | None, reopened: float | None, state: State
) -> None:
    assert replace(ACTED, act=act, reopened=reopened).state(10.0) is state
