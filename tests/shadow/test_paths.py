from __future__ import annotations

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.paths import ABRIDGED, COVERED, LONGEST, Path, Pattern, bounded, field, header, parse, render, shape, step

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
    if ABRIDGED not in shown:
        told = parse(shown)
        assert told == tuple(segments) or len(shown) > LONGEST // 2
        assert all(each in (None, own) for each, own in zip(told, segments, strict=True))


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
        (".", ()),
    ],
)
def test_rules_read_as_they_look(rule: str, pattern: Pattern) -> None:
    assert parse(rule) == pattern


@pytest.mark.parametrize(
    "rule",
    ["", "..", "data.", ".data", "data..x", "data[", "data[x]", "data[01]", "data[-1]", 'data["x]', 'data["\\x"]',
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
        ("data[*].id", ["data", "7", "id"], True),
        ("data[*].id", ["data", "id"], False),
        ("data[*][*]", ["data", "by", 3], True),
        ("data[7].id", ["data", "7", "id"], False),
        ("data[7].id", ["data", 8, "id"], False),
    ],
)
def test_a_rule_covers_its_place_and_everything_beneath(rule: str, segments: list[str | int], covered: bool) -> None:
    start: tuple[Pattern, ...] = (parse(rule),)
    assert (reduce(step, segments, start) is COVERED) is covered


UUID = "8f14e45f-ceea-467f-a0e6-0b1d1f0c6d2a"


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("byId.17.name", "byId[*].name"),
        ("17", "[*]"),
        ("17.18[19].x", "[*][*][*].x"),
        (f"byId.{UUID}.at", "byId[*].at"),
        ("byId.5f43a1c9e4b0a1b2c3d4e5f6", "byId[*]"),
        (render((None, "ada@example.org")), "[*]"),
        (render((None, "müller@example.org")), "[*]"),
        ('["a b"].c', '["a b"].c'),
        ("user1.line2", "user1.line2"),
        ("byId.user_17.line_2", "byId[*].line_2"),
        ("byId.conv-42.x", "byId[*].x"),
        ("byId.01ARZ3NDEKTSV4RRFFQ69G5FAV.x", "byId[*].x"),
        ("days.2026-01-16.x", "days[*].x"),
        ("data.feedback", "data.feedback"),
        ("headers.set-cookie.17", "headers.set-cookie.17"),
        ('["headers"].17', '["headers"][*]'),
    ],
)
def test_a_field_is_the_same_under_every_id(path: str, where: str) -> None:
    assert field(path) == where


@given(SEGMENTS)
def test_places_of_one_shape_are_of_one_field(segments: list[str | int]) -> None:
    others = [each + 1 if isinstance(each, int) else each for each in segments]
    assert shape(linked(segments)) == shape(linked(others))
    assert field(render(linked(segments))) == field(render(linked(others)))


@pytest.mark.parametrize(
    ("segments", "begins", "ends"),
    [
        ([0] * 100_000, "[*]" * 83 + ABRIDGED, ABRIDGED + "[*]" * 83),
        (["a", "k" * 600, "b", "c"], "a" + ABRIDGED, ABRIDGED + ".b.c"),
        (["k" * 600], ABRIDGED, ABRIDGED),
        (["data", *["k" * 200] * 800, "x"], "data." + "k" * 200 + ABRIDGED, f"{ABRIDGED}.{'k' * 200}.x"),
    ],
)
def test_of_a_long_path_the_beginning_and_the_end_are_told(segments: list[str | int], begins: str, ends: str) -> None:
    told = render(linked(segments))
    assert told.startswith(begins)
    assert told.endswith(ends)
    assert len(told) <= LONGEST + 12


def test_fields_whose_paths_are_long_are_told_apart_whatever_their_indices() -> None:
    def told(*segments: str | int) -> str:
        return field(render(linked([*segments, "k" * 600, 3])))

    assert told("a", 1) == told("a", 2) == told("a", UUID)
    assert len({told("a", 1), told("b", 1), told("a"), told("a", "1 ")}) == 4
    for levels in range(60, 180):
        paths = [render(linked(["data", *[index] * levels, "x"])) for index in (7, 10**8, UUID)]
        assert {field(path) for path in paths} == {field(paths[0])}
        assert all(len(path) <= LONGEST + 12 for path in paths)


def test_a_path_that_is_text_already_is_bounded_too() -> None:
    one, two = (bounded(f"headers.set-cookie.{'k' * 10_000}{end}") for end in "ab")
    assert one != two
    assert one.startswith("headers.set-cookie.kkk")
    assert len(one) < LONGEST
    assert bounded("headers.etag") == "headers.etag"
