from __future__ import annotations

import pytest

from shadow.observation import Observation, Recorder

START = {"type": "http.response.start", "status": 201, "headers": [(b"set-cookie", b"a=1"), (b"Set-Cookie", b"b=2")]}


def body(chunk: bytes, more: bool = False) -> dict[str, object]:
    return {"type": "http.response.body", "body": chunk, "more_body": more}


def test_an_answer_in_pieces_is_observed_whole() -> None:
    recorder = Recorder(100)
    for message in (START, body(b"one, ", more=True), body(b"", more=True), body(b"two")):
        recorder.feed(message)
    seen = recorder.observe(0.25)
    assert (seen.status, seen.body, seen.complete, seen.elapsed, seen.error) == (201, b"one, two", True, 0.25, None)


def test_headers_keep_their_order_and_their_repetitions() -> None:
    recorder = Recorder(100)
    recorder.feed(START)
    seen = recorder.observe(0.0)
    assert seen.headers == ((b"set-cookie", b"a=1"), (b"Set-Cookie", b"b=2"))
    assert seen.values(b"set-cookie") == [b"a=1", b"b=2"]


def test_nothing_is_kept_of_an_answer_over_the_limit() -> None:
    recorder = Recorder(10)
    recorder.feed(START)
    recorder.feed(body(b"12345678", more=True))
    recorder.feed(body(b"123", more=True))
    recorder.feed(body(b"x"))
    seen = recorder.observe(0.0)
    assert (seen.body, seen.complete, seen.truncated, recorder.size) == (b"", False, True, 12)
    assert recorder._chunks == []


def test_an_answer_of_exactly_the_limit_is_whole() -> None:
    recorder = Recorder(3)
    recorder.feed(START)
    recorder.feed(body(b"123"))
    assert recorder.observe(0.0).complete


@pytest.mark.parametrize("messages", [[], [START], [START, body(b"half", more=True)], [body(b"no head")]])
def test_an_answer_without_its_head_or_its_end_is_not_complete(messages: list[dict[str, object]]) -> None:
    recorder = Recorder(100)
    for message in messages:
        recorder.feed(message)
    assert not recorder.observe(0.0, "Broken").complete
    assert recorder.started is (START in messages)


def test_a_buffer_that_its_sender_reuses_is_copied() -> None:
    recorder, buffer = Recorder(100), bytearray(b"first")
    recorder.feed(START)
    recorder.feed({"type": "http.response.body", "body": memoryview(buffer), "more_body": False})
    buffer[:] = b"other"
    assert recorder.observe(0.0).body == b"first"


@pytest.mark.parametrize(
    ("said", "role"),
    [([], ""), ([b"agent"], "agent"), ([b"agent", b"admin"], ""), ([b"r\xf4le"], "r\xf4le"), ([b""], "")],
)
def test_a_side_says_in_one_word_as_whom_it_was_asked(said: list[bytes], role: str) -> None:
    seen = Observation(200, tuple((b"X-Strangler-Role", word) for word in said), b"", complete=True, elapsed=0.0)
    assert seen.role == role
