from __future__ import annotations

import json

import pytest

from proxy.hops import Arrived, goes_no_further, one_hop_on
from tests.fidelity.framing import answers

HOST = (b"host", b"example.test")


def limit(value: bytes) -> tuple[bytes, bytes]:
    return b"max-forwards", value


@pytest.mark.parametrize(
    ("came", "passed"),
    [(b"10", b"9"), (b"1", b"0"), (b"007", b"6"), (b"0" * 20 + b"5", b"4"), (b"9" * 5000, b"999999999")],
)
def test_a_hop_less_is_left_and_no_number_is_too_large(came: bytes, passed: bytes) -> None:
    assert one_hop_on([HOST, limit(came)]) == [HOST, limit(passed)]
    assert not goes_no_further([HOST, limit(came)])


@pytest.mark.parametrize("value", [b"", b"-1", b"+1", b"1.5", b"three", b"1, 2", b"\xb2"])
def test_what_is_no_number_of_hops_limits_nothing_and_passes_as_it_is(value: bytes) -> None:
    assert one_hop_on([limit(value), HOST]) == [limit(value), HOST]
    assert not goes_no_further([limit(value)])


@pytest.mark.parametrize("headers", [[limit(b"0")], [limit(b"00")], [limit(b"5"), limit(b"0")]])
def test_no_hop_left_is_the_end_of_the_way(headers: list[tuple[bytes, bytes]]) -> None:
    assert goes_no_further(headers)


@pytest.mark.parametrize(("method", "status"), [("OPTIONS", 200), ("TRACE", 405)])
def test_the_last_hop_says_what_is_allowed_and_that_it_closes(method: str, status: int) -> None:
    told = Arrived("r-1", "10.0.0.9", method, b"/", 0.0)
    [message] = answers(told.answer(), [method.encode()], ended=True)
    assert (message.status, message.complete, told.status) == (status, True, status)
    assert message.values(b"connection") == [b"close"]
    assert message.values(b"allow") == [b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"]
    assert message.values(b"x-request-id") == [b"r-1"]
    body = json.loads(message.body)
    assert ("Max-Forwards" in body["message"], body["requestId"]) == (True, "r-1")
