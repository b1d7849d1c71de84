from __future__ import annotations

from handlers.headers import header

SCOPE = {"headers": [(b"a", b"1"), (b"b", b"2"), (b"a", b"3"), (b"c", b"")]}


def test_a_header_that_is_repeated_is_one_list() -> None:
    assert header(SCOPE, b"a") == b"1, 3"


def test_a_header_that_is_empty_is_there_and_one_that_is_absent_is_not() -> None:
    assert header(SCOPE, b"b") == b"2"
    assert header(SCOPE, b"c") == b""
    assert header(SCOPE, b"d") is None
