from __future__ import annotations

import gzip
import json
import pickle
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.compare import FIELDS, KEPT, Difference, Exhausted, Kind, Outcome, Rules, compare
from shadow.observation import Observation
from shadow.paths import LONGEST
from shadow.rules import Unordered
from shadow.shown import VALUES, Beginning
from tests.shadow.answers import JSON, answer

NOTHING = Rules()


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
    assert result.by == (("ignore data[*].updatedAt", 2), ("ignore headers.location", 1))
    assert compare(control, answer({"data": []}, (b"location", b"/b")), rules).outcome is Outcome.MISMATCHED


def test_a_faulty_rule_is_named() -> None:
    with pytest.raises(ValueError, match=r"'data\[x\]'"):
        Rules.parse(["data.id", "data[x]"])


def test_the_differences_kept_are_bounded_and_all_are_counted() -> None:
    result = compare(answer(list(range(1_000))), answer(list(range(1, 1_001))), NOTHING)
    assert (len(result.differences), result.count) == (KEPT, 1_000)
    assert result.differences[0].path == "[0]"


def test_what_differs_in_every_element_hides_no_other_field() -> None:
    rows = [{"at": number, "id": number} for number in range(200)]
    later = [{**row, "at": -1} for row in rows]
    control, candidate = {"data": rows, "meta": 1, "total": 1}, {"data": later, "meta": 2, "total": "1"}
    result = compare(answer(control), answer(candidate), Rules())
    assert [each.path for each in result.differences[KEPT:]] == ["meta", "total"]
    many = answer({f"k{number}": 1 for number in range(1_000)}), answer({f"k{number}": 2 for number in range(1_000)})
    assert len(compare(*many, Rules()).differences) == KEPT


def test_fields_that_are_known_are_told_whatever_else_differs() -> None:
    """And take no room from others: what differs all the time would hide what does now."""
    control, candidate = ({f"k{number:03}": value for number in range(200)} for value in (1, 2))
    result = compare(answer(control), answer(candidate), Rules())
    assert (len(result.differences), result.count) == (FIELDS, 200)
    known = {(f"k{number:03}", "value") for number in (*range(60), 199)} | {("k100", "type")}
    result = compare(answer(control), answer(candidate), Rules(), known=known)
    assert [each.path for each in result.differences] == [*(f"k{number:03}" for number in range(110)), "k199"]


def test_what_an_object_has_under_its_ids_is_one_field() -> None:
    control, candidate = ({"byId": {str(id): {"name": name} for id in range(500)}} for name in ("n", "N"))
    control, candidate = {**control, "total": 1}, {**candidate, "total": 2}
    result = compare(answer(control), answer(candidate), Rules())
    assert [each.path for each in result.differences[KEPT:]] == ["total"]
    rules = Rules.parse(["byId[*].name", "total"])
    assert compare(answer(control), answer(candidate), rules).outcome is Outcome.IGNORED


@pytest.mark.parametrize(
    ("control", "candidate"),
    [
        (answer({"id": 1}), answer({"id": 2})),
        (answer([1, 2]), answer([2, 1, 3])),
        (answer({"id": 1}), answer(b"sorry", (b"content-type", b"application/json"))),
        (answer(b"a", (b"content-type", b"text/plain")), answer(b"b", (b"content-type", b"text/plain"))),
        (answer(b"<p>a</p><p>b</p>", (b"content-type", b"text/html")), answer(b"<i>", (b"content-type", b"text/html"))),
    ],
)
def test_a_whole_body_can_be_ignored(control: Observation, candidate: Observation) -> None:
    rules = Rules.parse(["."])
    result = compare(control, candidate, rules)
    assert (result.outcome, {rule for rule, _ in result.by}) == (Outcome.IGNORED, {"ignore ."})
    assert compare(control, replace(candidate, status=500), rules).count == 1


def test_a_list_that_is_the_whole_body_may_come_in_any_order() -> None:
    rules = Rules.parse(rules=[(".", Unordered("any"))])
    assert compare(answer([{"a": 1}, {"a": 2}]), answer([{"a": 2}, {"a": 1}]), rules).outcome is Outcome.IGNORED


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
        (b"location", [b"/a "], [b"/a"], True),
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
    rules = Rules.parse([], headers=["X-Page"])
    control = answer(b"x", (b"x-page", b"1"), (b"x-page", b" 2"))
    folded = answer(b"x", (b"X-Page", b"1, 2"))
    spaced = answer(b"x", (b"X-Page", b"1 "), (b"x-page", b"2"))
    assert compare(control, spaced, rules).outcome is Outcome.MATCHED
    assert compare(control, folded, rules).differences == (
        Difference("headers.x-page", Kind.HEADER, ["1", " 2"], ["1, 2"]),
    )


def test_an_etag_is_compared_only_where_the_bytes_are_the_same() -> None:
    one, two = (b"etag", b'"1"'), (b"etag", b'"2"')
    assert compare(answer({"id": 1}, one), answer({"id": 1}, two), NOTHING).outcome is Outcome.MISMATCHED
    assert compare(answer({"id": 1}, one), answer({"id": 1}), NOTHING).outcome is Outcome.MISMATCHED
    assert compare(answer(b'{"id":1}', JSON, one), answer(b'{"id": 1}', JSON, two), NOTHING).outcome is Outcome.MATCHED
    assert compare(answer(b'{"id":1}', JSON, one), answer(b'{"id": 1}', JSON), NOTHING).outcome is Outcome.MISMATCHED
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
    plain = (b"content-type", b"text/plain")
    there, back = (b"x" * 5_000 + end for end in (b"legacy", b"native"))
    (found,) = compare(answer(there, plain), answer(back, plain), NOTHING).differences
    assert isinstance(found.control, Beginning)
    assert isinstance(found.candidate, Beginning)
    assert (found.control.value, found.candidate.value) == (f"…{'x' * 40}legacy", f"…{'x' * 40}native")
    assert found.control.length == found.candidate.length == 5_006


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
    deep = b"[" * 900 + b"%d" + b"]" * 900
    result = compare(answer(deep % 1, JSON), answer(deep % 2, JSON), NOTHING)
    (found,) = result.differences
    assert found.path.startswith("[*][*][*]")
    assert found.path.endswith("[*][*][*]")


def test_no_path_is_larger_than_anyone_reads() -> None:
    """Eight hundred levels of long keys: the whole of it would be told fifty times."""
    deep = (b'{"' + b"k" * 200 + b'":') * 800 + b"%s" + b"}" * 800
    leaves = (json.dumps({f"x{number}": value for number in range(KEPT)}).encode() for value in (1, 2))
    result = compare(*(answer(deep % leaf, JSON) for leaf in leaves), NOTHING)
    assert len({each.path for each in result.differences}) == KEPT
    assert all(LONGEST < len(each.path) + 100 < 2 * LONGEST for each in result.differences)
    many = b"[" * 200 + b"%s" + b"]" * 200
    with pytest.raises(Exhausted):  # small, and not to be compared between requests
        compare(answer(many % (b"1," * 99 + b"1"), JSON), answer(many % (b"2," * 99 + b"2"), JSON), NOTHING, 1_000)


def test_values_are_told_as_numbers_and_none_is_too_large_to_hand_on() -> None:
    a, b = answer(b'{"a":[1,2.50,1e400]}', JSON), answer(b'{"b":1}', JSON)
    assert compare(a, b, NOTHING).differences == (
        Difference("a", Kind.MISSING, [1, Decimal("2.50"), Decimal("1e400")], None),
        Difference("b", Kind.EXTRA, None, 1),
    )
    large = answer({"rows": [{"name": "x" * 10_000, str(number): list(range(100))} for number in range(1_000)]})
    result = compare(large, answer({}), NOTHING)
    assert len(pickle.dumps(result)) < 200_000
    decimals = compare(answer({"a": [0.5] * 60_000, "b": [[]] * 60_000}), answer({}), NOTHING).differences
    assert sum(len(each.control.value) for each in decimals) < VALUES
    assert [each.control.length for each in decimals] == [60_000] * 2
    nested = answer(b'{"a":' + b"[" * 900 + b"]" * 900 + b"}", JSON)
    assert compare(nested, answer({}), NOTHING).differences[0].kind is Kind.MISSING


def test_more_effort_than_allowed_is_refused() -> None:
    with pytest.raises(Exhausted):
        compare(answer(list(range(1_000))), answer(list(range(1, 1_001))), NOTHING, 100)


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_no_bodies_whatever_raise(control: bytes, candidate: bytes) -> None:
    outcome = compare(answer(control, JSON), answer(candidate, JSON), NOTHING).outcome
    assert outcome is Outcome.MATCHED or control != candidate
