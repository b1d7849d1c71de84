from __future__ import annotations

import pytest

from proxy.pipeline import FEW, portion_end

REQUEST = b"GET / HTTP/1.1\r\nX-A: " + b"a" * FEW + b"\r\n\r\n"


@pytest.mark.parametrize("start", [0, len(REQUEST)])
@pytest.mark.parametrize("many", [1, 2, 16])
def test_a_portion_ends_with_as_many_requests_as_there_is_room_for(start: int, many: int) -> None:
    assert portion_end(REQUEST * 20, start, many) == start + many * len(REQUEST)


@pytest.mark.parametrize("rest", [b"", b"GET / HTTP/1.1\r\nX-A: "])
def test_fewer_requests_are_one_portion_with_what_there_is_of_the_next(rest: bytes) -> None:
    data = REQUEST * 3 + rest
    assert portion_end(data, len(REQUEST), 16) == len(data)


@pytest.mark.parametrize("length", [FEW - 2, FEW, FEW + 4, 3 * FEW])
def test_a_portion_has_a_least_size_whatever_looks_like_requests_in_it(length: int) -> None:
    data = (b"\r\n\r\n" * length)[:length]
    assert portion_end(data, 0, 16) == min(FEW, length)
    assert portion_end(data, length - 4, 16) == length
