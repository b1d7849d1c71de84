from __future__ import annotations

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.paths import COVERED, Path, Pattern, header, parse, render, step

SEGMENTS = st.lists(
    st.text() | st.integers(0, 10**8) | st.sampled_from(["headers", "data", "a-b", 'a"b', "0", "*"]), min_size=1
)


def linked(segments: list[str | int]) -> Path | None:
    path: Path | None = None
    for segment in segments:
        path = (path, segment)
    return path


@given(SEGMENTS)
def test_every_path_shown_is_a_rule_for_its_own_place(segments: list[str | int]) -> None:
    shown = render(linked(segments))
    assert header(shown) is None
    assert parse(shown) == tuple(segments)


@pytest.mark.parametrize(
    ("rule", "pattern"),
    [
        ("data.updatedAt", ("data", "updatedAt")),
        ("data[*].lastMessage.id", ("data", None, "lastMessage", "id")),
        ("[*].id", (None, "id")),
        ("data[0]", ("data", 0)),
        ('data["odd key"].x', ("data", "odd key", "x")),
        ('["headers"].etag', ("headers", "etag")),
        ("status", ("status",)),
    ],
)
def test_rules_read_as_they_look(rule: str, pattern: Pattern) -> None:
    assert parse(rule) == pattern


@pytest.mark.parametrize(
    "rule",
    ["", ".", "data.", ".data", "data..x", "data[", "data[x]", "data[01]", "data[-1]", 'data["x]', 'data["\\x"]',
     "data[*]x", "data x", "headers", "headers.", "headers.a b", "headers[0]", "data.**"],
)  # fmt: skip
def test_a_rule_that_cannot_be_read_is_named_in_the_fault(rule: str) -> None:
    assert header(rule) is None
    with pytest.raises(ValueError, match="cannot be read at") as fault:
        parse(rule)
    assert repr(rule) in str(fault.value)


def test_a_header_is_named_without_regard_to_case() -> None:
    assert header("headers.ETag") == b"etag"
    assert header("data.headers.etag") is None


@pytest.mark.parametrize(
    ("rule", "segments", "covered"),
    [
        ("data.id", ["data", "id"], True),
        ("data.id", ["data", "id", "deeper", 3], True),
        ("data.id", ["data"], False),
        ("data.id", ["data", "other"], False),
        ("data.id", ["other", "id"], False),
        ("data[*].id", ["data", 7, "id"], True),
        ("data[*].id", ["data", "7", "id"], False),
        ("data[7].id", ["data", 8, "id"], False),
    ],
)
def test_a_rule_covers_its_place_and_everything_beneath(rule: str, segments: list[str | int], covered: bool) -> None:
    start: tuple[Pattern, ...] = (parse(rule),)
    assert (reduce(step, segments, start) is COVERED) is covered


def test_a_deep_path_is_rendered_without_recursion() -> None:
    assert render(linked([0] * 100_000)) == "[0]" * 100_000
