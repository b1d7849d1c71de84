from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.compare import KEPT, Difference, Kind, Outcome, Rules, compare, differences
from shadow.paths import parse, render
from tests.shadow.answers import JSON, answer

PLAIN = st.none() | st.booleans() | st.integers() | st.text() | st.decimals(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)
DOCUMENTS = st.dictionaries(st.text(), VALUES, min_size=1) | st.lists(VALUES, min_size=1)
NOTHING = Rules()


def found(control: Any, candidate: Any, *ignore: str) -> list[tuple[str, str]]:
    """Paths and kinds of the differences that no rule covers."""
    pairs = differences(control, candidate, tuple(map(parse, ignore)))
    return [(difference.path, difference.kind.value) for difference, covered in pairs if not covered]


def places(value: Any, above: Any = None, path: Any = None) -> Iterator[tuple[Any, Any, Any]]:
    """Every place beneath a value: what holds it, its key or index, its path."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield value, key, (path, key)
        yield from places(child, value, (path, key))


@given(VALUES)
def test_a_value_agrees_with_itself(value: Any) -> None:
    assert found(value, copy.deepcopy(value)) == []


@given(DOCUMENTS, st.data())
def test_any_single_mutation_is_found_at_its_path_and_nowhere_else(value: Any, data: st.DataObject) -> None:
    mutant = copy.deepcopy(value)
    holder, key, path = data.draw(st.sampled_from(list(places(mutant))))
    kind = data.draw(st.sampled_from(["type", "missing"] if isinstance(holder, dict) else ["type"]))
    if kind == "type":
        holder[key] = {"a": "mutant"} if isinstance(holder[key], list) else ["a mutant"]
    else:
        del holder[key]
    assert found(value, mutant) == [(render(path), kind)]


@given(DOCUMENTS, st.data())
def test_a_rule_hides_exactly_its_path(value: Any, data: st.DataObject) -> None:
    mutant = copy.deepcopy(value)
    spots = list(places(mutant))
    holder, key, path = data.draw(st.sampled_from(spots))
    holder[key] = {"a": "mutant"} if isinstance(holder[key], list) else ["a mutant"]
    assert found(value, mutant, render(path)) == []
    others = {render(other) for _, _, other in spots if not render(path).startswith(render(other))}
    assert found(value, mutant, *others) == [(render(path), "type")]


@given(VALUES, VALUES)
def test_swapping_the_sides_swaps_the_differences(control: Any, candidate: Any) -> None:
    swapped = {Kind.MISSING: Kind.EXTRA, Kind.EXTRA: Kind.MISSING}
    there = [difference for difference, _ in differences(control, candidate)]
    back = [difference for difference, _ in differences(candidate, control)]
    assert [(d.path, swapped.get(d.kind, d.kind), d.candidate, d.control) for d in there] == [
        (d.path, d.kind, d.control, d.candidate) for d in back
    ]


@given(VALUES, VALUES)
def test_the_order_does_not_depend_on_the_order_of_keys(control: Any, candidate: Any) -> None:
    def turned(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: turned(value[key]) for key in reversed(value)}
        return [turned(each) for each in value] if isinstance(value, list) else value

    assert found(control, candidate) == found(turned(control), turned(candidate))


@pytest.mark.parametrize(
    ("control", "candidate", "expected"),
    [
        (1, Decimal("1.0"), [("", "type")]),
        (1, True, [("", "type")]),
        (0, False, [("", "type")]),
        (None, False, [("", "type")]),
        ("1", 1, [("", "type")]),
        (Decimal("1.10"), Decimal("1.1"), []),
        (10**30, 10**30 + 1, [("", "value")]),
        ([1, 2], [1, 2, 3], [("", "length")]),
        ([1, 2], [2], [("", "length"), ("[0]", "value")]),
        ({"a": None}, {}, [("a", "missing")]),
        ({}, {"a": None}, [("a", "extra")]),
        ({"data": [{"id": 1}, {"id": 2}]}, {"data": [{"id": 1}, {"id": "2"}]}, [("data[1].id", "type")]),
        ({"b": 1, "a": {"z": 1, "y": 1}}, {"b": 2, "a": {"z": 2, "y": 2}}, [(p, "value") for p in ("a.y", "a.z", "b")]),
        ({"a": [True]}, {"a": [1]}, [("a[0]", "type")]),
    ],
)  # fmt: skip
def test_kinds_of_difference(control: Any, candidate: Any, expected: list[tuple[str, str]]) -> None:
    assert found(control, candidate) == expected


def test_identical_answers_match_whatever_their_bytes_are() -> None:
    for body in (b"", b"\xff\xfe", b"[" * 200_000, b'{"a":1,"a":2}'):
        assert compare(answer(body, JSON), answer(body, JSON), NOTHING).outcome is Outcome.MATCHED


def test_white_space_and_key_order_do_not_matter() -> None:
    control, candidate = answer(b'{"a":1,"b":[2]}', JSON), answer(b'{ "b": [2],\n "a": 1 }', JSON)
    assert compare(control, candidate, NOTHING).outcome is Outcome.MATCHED


def test_a_difference_tells_path_kind_and_both_values() -> None:
    result = compare(answer({"data": {"count": 1}}), answer({"data": {"count": 2}}, status=201), NOTHING)
    assert result.outcome is Outcome.MISMATCHED
    assert result.differences == (Difference("", Kind.STATUS, 200, 201), Difference("data.count", Kind.VALUE, 1, 2))


def test_ignored_is_an_outcome_of_its_own() -> None:
    rules = Rules.parse(["data[*].updatedAt", "headers.location"])
    control = answer({"data": [{"updatedAt": 1}, {"updatedAt": 2}]}, (b"location", b"/a"))
    candidate = answer({"data": [{"updatedAt": 3}, {}]}, (b"location", b"/b"))
    result = compare(control, candidate, rules)
    assert (result.outcome, result.differences, result.count, result.ignored) == (Outcome.IGNORED, (), 0, 3)
    assert compare(control, answer({"data": []}, (b"location", b"/b")), rules).outcome is Outcome.MISMATCHED


def test_a_faulty_rule_is_named() -> None:
    with pytest.raises(ValueError, match=r"'data\[x\]'"):
        Rules.parse(["data.id", "data[x]"])


def test_the_differences_kept_are_bounded_and_all_are_counted() -> None:
    result = compare(answer(list(range(1_000))), answer(list(range(1, 1_001))), NOTHING)
    assert (len(result.differences), result.count) == (KEPT, 1_000)
    assert result.differences[0].path == "[0]"


@pytest.mark.parametrize(
    ("name", "control", "candidate", "matched"),
    [
        (b"content-type", [b"application/json; charset=utf-8"], [b'Application/JSON;charset="UTF-8"'], True),
        (b"content-type", [b"application/json"], [b"application/json; charset=utf-8"], False),
        (b"content-type", [b"text/html"], [], False),
        (b"cache-control", [b"max-age=0, private"], [b"Private,max-age=0"], True),
        (b"cache-control", [b"max-age=0", b"private"], [b"private, max-age=0"], True),
        (b"cache-control", [b"max-age=0, private"], [b"max-age=0"], False),
        (b"location", [b"/a"], [b"/A"], False),
        (b"location", [b"/a"], [], False),
        (b"x-runtime", [b"0.1"], [b"0.2"], True),
        (b"set-cookie", [b"s=1"], [b"s=2"], True),
    ],
)
def test_headers_that_matter(name: bytes, control: list[bytes], candidate: list[bytes], matched: bool) -> None:
    a, b = (answer(b"x", *((name, value) for value in values)) for values in (control, candidate))
    result = compare(a, b, NOTHING)
    assert (result.outcome is Outcome.MATCHED) is matched
    assert {(d.path, d.kind) for d in result.differences} == (
        set() if matched else {(f"headers.{name.decode()}", Kind.HEADER)}
    )


def test_named_headers_are_compared_as_lists() -> None:
    rules = Rules.parse([], headers=["Set-Cookie"])
    control = answer(b"x", (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"))
    folded = answer(b"x", (b"Set-Cookie", b"a=1, b=2"))
    assert compare(control, control, rules).outcome is Outcome.MATCHED
    assert compare(control, folded, rules).differences == (
        Difference("headers.set-cookie", Kind.HEADER, ["a=1", "b=2"], ["a=1, b=2"]),
    )


def test_an_etag_is_compared_only_where_the_bytes_are_the_same() -> None:
    one, two = (b"etag", b'"1"'), (b"etag", b'"2"')
    assert compare(answer({"id": 1}, one), answer({"id": 1}, two), NOTHING).outcome is Outcome.MISMATCHED
    assert compare(answer({"id": 1}, one), answer({"id": 1}), NOTHING).outcome is Outcome.MISMATCHED
    assert compare(answer(b'{"id":1}', JSON, one), answer(b'{"id": 1}', JSON, two), NOTHING).outcome is Outcome.MATCHED
    assert compare(answer(b"", one), answer(b"", two), NOTHING).outcome is Outcome.MATCHED


def test_a_key_called_headers_is_not_a_header() -> None:
    control, candidate = answer({"headers": {"etag": 1}}), answer({"headers": {"etag": 2}})
    result = compare(control, candidate, Rules.parse(["headers.etag"]))
    assert [d.path for d in result.differences] == ['["headers"].etag']
    assert compare(control, candidate, Rules.parse(['["headers"].etag'])).outcome is Outcome.IGNORED


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"complete": False, "error": "deadline"}, "deadline"),
        ({"complete": False, "truncated": True}, "too large"),
        ({"complete": False}, "incomplete"),
    ],
)
def test_a_candidate_without_a_whole_answer_differs_in_a_kind_of_its_own(told: dict[str, Any], why: str) -> None:
    result = compare(answer({"id": 1}), answer(b"", **told), NOTHING)
    assert (result.outcome, result.differences) == (Outcome.MISMATCHED, (Difference("", Kind.ERROR, 200, why),))


def test_an_error_after_a_whole_answer_does_not_spoil_it() -> None:
    assert compare(answer({"id": 1}), answer({"id": 1}, error="KeyError"), NOTHING).outcome is Outcome.MATCHED


def test_bodies_of_different_forms_differ_in_type() -> None:
    result = compare(answer({"id": 1}), answer(b"<p>sorry</p>", JSON), NOTHING)
    assert result.differences == (Difference("", Kind.TYPE, "json", "text"),)


def test_texts_are_shown_from_where_they_part() -> None:
    html = (b"content-type", b"text/html")
    result = compare(answer(b"x" * 5_000 + b"legacy", html), answer(b"x" * 5_000 + b"native", html), NOTHING)
    assert result.differences == (Difference("", Kind.VALUE, f"…{'x' * 40}legacy", f"…{'x' * 40}native"),)


def test_other_bytes_are_compared_by_digest() -> None:
    png = (b"content-type", b"image/png")
    (difference,) = compare(answer(b"\xff1", png), answer(b"\xff22", png), NOTHING).differences
    assert (difference.kind, difference.control[:7], difference.candidate[:7]) == (Kind.VALUE, "2 bytes", "3 bytes")


def test_one_side_may_compress_and_the_other_not() -> None:
    body = json.dumps({"id": 1}).encode()
    packed = answer(gzip.compress(body), JSON, (b"content-encoding", b"gzip"))
    assert compare(answer(body, JSON), packed, NOTHING).outcome is Outcome.MATCHED
    assert compare(packed, answer({"id": 2}), NOTHING).differences == (Difference("id", Kind.VALUE, 1, 2),)


def test_hostile_nesting_is_compared_without_recursion() -> None:
    control: Any = 1
    candidate: Any = 2
    for _ in range(100_000):
        control, candidate = [control], [candidate]
    assert found(control, candidate) == [("[0]" * 100_000, "value")]
    deep = b"[" * 900 + b"%d" + b"]" * 900
    result = compare(answer(deep % 1, JSON), answer(deep % 2, JSON), NOTHING)
    assert [d.path for d in result.differences] == ["[0]" * 900]


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_no_bodies_whatever_raise(control: bytes, candidate: bytes) -> None:
    outcome = compare(answer(control, JSON), answer(candidate, JSON), NOTHING).outcome
    assert outcome is Outcome.MATCHED or control != candidate
