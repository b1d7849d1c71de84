from __future__ import annotations

from handlers.headers import header

SCOPE = {"headers": [(b"a", b"1"), (b"b", b"2"), (b"a", b"3"), (b"c", b"")]}


def test_a_header_that_is_repeated_is_one_list() -> None:
    assert header(SCOPE, b"a") == b"1, 3"


def test_a_header_that_is_empty_is_there_and_one_that_is_absent_is_not() -> None:
    assert header(SCOPE, b"b") == b"2"
    assert header(SCOPE, b"c") == b""
    assert header(SCOPE, b"d") is None


def test_underscores_in_a_name_are_hyphens() -> None:
    scope = {"headers": [(b"idempotency_key", b"k"), (b"other_key", b"o")]}
    assert header(scope, b"idempotency-key") == b"k"
    assert header(scope, b"key") is None


def test_underscores_count_only_where_no_name_has_hyphens_and_never_for_the_media_type() -> None:
    scope = {"headers": [(b"a_key", b"1"), (b"a-key", b"2"), (b"a_key", b"3"), (b"content_type", b"text/plain")]}
    assert header(scope, b"a-key") == b"2"
    assert header(scope, b"content-type") is None


def test_white_space_after_a_value_is_no_part_of_it() -> None:
    assert header({"headers": [(b"a", b"1 \t"), (b"a", b"2 ")]}, b"a") == b"1, 2"
