from __future__ import annotations

from typing import Any

import pytest

from shadow.eligibility import why_not
from tests.shadow.answers import answer


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_whole_answer_to_a_safe_method_is_eligible(method: str) -> None:
    assert why_not(method, answer({"id": 1})) is None


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "CONNECT", "TRACE", "FOO", "get"])
def test_other_methods_are_never_repeated(method: str) -> None:
    assert why_not(method, answer({"id": 1})) == "unsafe_method"


def test_a_failure_that_was_answered_whole_is_eligible() -> None:
    assert why_not("GET", answer({"error": "not_found"}, status=404)) is None


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("too_large", {"complete": False, "truncated": True}),
        ("incomplete", {"complete": False}),
        ("incomplete", {"complete": False, "status": 0, "error": "Refused"}),
    ],
)
def test_an_answer_that_is_not_all_there_is_not_eligible(reason: str, told: dict[str, Any]) -> None:
    assert why_not("GET", answer(b"", **told)) == reason


@pytest.mark.parametrize("value", [b"text/event-stream", b"Text/Event-Stream; charset=utf-8"])
def test_a_stream_is_not_eligible_although_it_ended(value: bytes) -> None:
    assert why_not("GET", answer(b"data: 1\n\n", (b"content-type", value))) == "streaming"


@pytest.mark.parametrize(
    ("value", "reason"), [(b"gzip", None), (b"GZIP", None), (b"br", None), (b"gzip, br", None), (b"zstd", "encoding")]
)
def test_a_body_nobody_here_can_decode_is_not_eligible(value: bytes, reason: str | None) -> None:
    assert why_not("GET", answer(b"x", (b"Content-Encoding", value))) == reason
