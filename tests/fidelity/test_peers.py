"""The words for what others do: an origin that is asked without a proxy changes nothing, so every word is earned."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fidelity.cases import Case, answer, ask, given
from tests.fidelity.framing import Framing, Message
from tests.fidelity.origin import OK, running_origin
from tests.fidelity.peers import differences, statuses, told, told_of_refusal
from tests.fidelity.refusals import REFUSALS, Refusal
from tests.fidelity.rules import Seen
from tests.fidelity.run import played
from tests.fidelity.wire import Close, Gone, Script, Whole

HEADERS = (b"host", b"example.test"), (b"x-a", b"1"), (b"x-b", b"2"), (b"connection", b"x-hop"), (b"x-hop", b"1")
ASKED = Message(b"POST /a HTTP/1.1", HEADERS, b"abc", Framing.CHUNKED, trailers=((b"x-sum", b"1"),))
HINTS = Message(b"HTTP/1.1 103 Early Hints", ())
ANSWERED = Message(b"HTTP/1.1 200 OK", ((b"x-a", b"1"), (b"server", b"puma")), b"ok", Framing.CHUNKED)
DIRECT = Seen((ASKED,), (HINTS, ANSWERED), alive=True)
CASE = given("a case")


def asked(**changes: object) -> Seen:
    return replace(DIRECT, asked=(replace(ASKED, **changes),))  # type: ignore[arg-type]  # each test names its own


def answered(**changes: object) -> Seen:
    return replace(DIRECT, answered=(HINTS, replace(ANSWERED, **changes)))  # type: ignore[arg-type]  # as above


SEEN: dict[str, Seen] = {
    "not passed on": replace(DIRECT, asked=()),
    "asked again": replace(DIRECT, asked=(ASKED, ASKED)),
    "version": asked(start=b"POST /a HTTP/1.0"),
    "target": asked(start=b"POST /b HTTP/1.1"),
    "host": asked(headers=((b"host", b"other.test"), *HEADERS[1:])),
    "hop-by-hop": asked(headers=HEADERS[:3]),
    "claims": asked(headers=(*HEADERS, (b"x-real-ip", b"1.2.3.4"))),
    "headers lost": asked(headers=(HEADERS[0], *HEADERS[2:])),
    "headers changed": asked(headers=(HEADERS[0], (b"x-a", b"2"), *HEADERS[2:])),
    "headers added": asked(headers=(*HEADERS, (b"x-c", b"3"))),
    "order": asked(headers=(HEADERS[0], HEADERS[2], HEADERS[1], *HEADERS[3:])),
    "body": asked(body=b"ab"),
    "framing": asked(framing=Framing.LENGTH),
    "trailers": asked(trailers=()),
    "interim": replace(DIRECT, answered=(ANSWERED,)),
    "invitation": replace(DIRECT, answered=(Message(b"HTTP/1.1 100 Continue", ()), ANSWERED)),
    "500": answered(start=b"HTTP/1.1 500 Internal Server Error"),
    "phrase": answered(start=b"HTTP/1.1 200 Fine"),
    "answer's headers lost": answered(headers=()),
    "answer's headers changed": answered(headers=((b"x-a", b"1"), (b"server", b"another"))),
    "breaks off": answered(complete=False),
    "no answer": replace(DIRECT, answered=(HINTS,)),
    "closes": replace(DIRECT, alive=False),
}


@pytest.mark.parametrize("word", SEEN)
def test_each_difference_has_its_word(word: str) -> None:
    assert list(differences(DIRECT, SEEN[word], CASE)) == [word]


def test_what_is_the_same_and_what_a_proxy_may_add_is_no_difference() -> None:
    named = asked(headers=(*((name.title(), value) for name, value in HEADERS), (b"via", b"1.1 proxy")))
    dated = answered(headers=(*ANSWERED.headers, (b"date", b"today")))
    assert [list(differences(DIRECT, seen, CASE)) for seen in (DIRECT, named, dated)] == [[], [], []]


def test_an_answer_in_place_of_none_is_an_error_and_of_half_a_one_a_lie() -> None:
    silent = Seen((ASKED,), (), alive=False)
    assert list(differences(silent, replace(silent, answered=(replace(ANSWERED, start=b"HTTP/1.1 502 B"),)), CASE)) == [
        "error"
    ]
    half = replace(DIRECT, answered=(replace(ANSWERED, complete=False),))
    assert "passes for whole" in differences(half, replace(DIRECT, answered=(ANSWERED,)), CASE)


STATUSES = {
    "200": CASE,
    "103, 200": given("hints", answer("103 Early Hints") * 3, answer("200 OK", b"Content-Length: 0")),
    "200, breaks off": given("half", answer("200 OK", b"Content-Length: 9", body=b"half"), Close()),
    "no answer": given("nothing", Close()),
    "left": Case("left", (ask("GET /h"), Close()), ((Whole(), Gone()),), left=True),
}


@pytest.mark.parametrize("said", STATUSES)
async def test_an_origin_without_a_proxy_is_told_as_it_is(said: str) -> None:
    case = STATUSES[said] if said != "200" else replace(CASE, origin=(OK,))
    async with running_origin() as origin:
        direct = await played(case, origin.port, origin)
        assert statuses(direct, case) == said
        assert await told(case, direct, origin.port, origin) == "as sent"


ANSWERS: Script = (*OK, Close())
REFUSED = {
    "passed on": next(refusal for refusal in REFUSALS if refusal.name == "two Hosts"),
    "mended": Refusal("nothing wrong with it", (ask("GET /h"),), origin=(ANSWERS,)),
    "passed on in part": Refusal("half a request", (ask("POST /put", b"Content-Length: 3"), Close())),
    "200": Refusal("what is answered", (ask("GET /h"),), asked=(b"GET /h HTTP/1.1",), origin=(ANSWERS,)),
    "closes": Refusal("who says nothing", (ask("GET /h"),), asked=(b"GET /h HTTP/1.1",), origin=((Close(),),)),
}


@pytest.mark.parametrize("said", REFUSED)
async def test_what_an_origin_without_a_proxy_makes_of_a_refusal_is_told(said: str) -> None:
    async with running_origin() as origin:
        assert await told_of_refusal(REFUSED[said], origin.port, origin) == said
