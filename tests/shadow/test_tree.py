from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from shadow.paths import parse, render
from shadow.result import Effort, Exhausted, Found, Kind
from shadow.rules import Alias, Ignore, Place, Rule, Timestamp, Tolerance, Unordered
from shadow.tree import differences

# As they come out of a body: numbers are bytes, as they were written.
NUMBERS = (st.integers().map(str) | st.decimals(allow_nan=False, allow_infinity=False).map(str)).map(str.encode)
PLAIN = st.none() | st.booleans() | NUMBERS | st.text()
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)
DOCUMENTS = st.dictionaries(st.text(), VALUES, min_size=1) | st.lists(VALUES, min_size=1)
RECORDS = st.lists(st.tuples(st.integers(0, 9), PLAIN), unique_by=lambda each: each[0]).map(
    lambda rows: [{"id": str(number).encode(), "body": body} for number, body in rows]
)

Placed = tuple[str, Rule]
few = settings(max_examples=40)  # these draw whole documents


def body(value: Any) -> Any:
    """A value as it comes out of a body."""
    return json.loads(json.dumps(value, default=float), parse_int=str.encode, parse_float=str.encode)


def walked(control: Any, candidate: Any, *rules: Placed, effort: int = 10**6) -> list[Found]:
    root = Place([(parse(at), rule) for at, rule in rules]) if rules else None
    return list(differences(control, candidate, root, Effort(effort)))


def found(control: Any, candidate: Any, *rules: Placed) -> list[tuple[str, str]]:
    """Paths and kinds of the differences that no rule covers."""
    return [(shown(each), each.kind.value) for each in walked(control, candidate, *rules) if each.rule is None]


def covered(control: Any, candidate: Any, *rules: Placed) -> Counter[str]:
    """How many differences each rule covers."""
    return Counter(each.rule for each in walked(control, candidate, *rules) if each.rule is not None)


def shown(each: Found) -> str:
    assert not isinstance(each.path, str)
    return render(each.path)


def ignoring(*places: str) -> list[Placed]:
    return [(place, Ignore(place)) for place in places]


def places(value: Any, above: Any = None, path: Any = None) -> Iterator[tuple[Any, Any, Any]]:
    """Every place beneath a value: what holds it, its key or index, its path."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield value, key, (path, key)
        yield from places(child, value, (path, key))


@given(VALUES)
def test_a_value_agrees_with_itself(value: Any) -> None:
    assert found(value, copy.deepcopy(value)) == []


@few
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


@few
@given(DOCUMENTS, st.data())
def test_an_ignore_rule_covers_exactly_its_place(value: Any, data: st.DataObject) -> None:
    mutant = copy.deepcopy(value)
    spots = list(places(mutant))
    holder, key, path = data.draw(st.sampled_from(spots))
    assume(all("…" not in render(spot) for _, _, spot in spots))  # what is abridged is no place of a rule
    holder[key] = {"a": "mutant"} if isinstance(holder[key], list) else ["a mutant"]
    assert found(value, mutant, *ignoring(render(path))) == []
    others = {render(other) for _, _, other in spots if not render(path).startswith(render(other))}
    assert found(value, mutant, *ignoring(*others)) == [(render(path), "type")]


@few
@given(VALUES, VALUES)
def test_swapping_the_sides_swaps_the_differences(control: Any, candidate: Any) -> None:
    swapped = {Kind.MISSING: Kind.EXTRA, Kind.EXTRA: Kind.MISSING}
    there, back = walked(control, candidate), walked(candidate, control)
    assert [(d.path, swapped.get(d.kind, d.kind), d.candidate, d.control) for d in there] == [
        (d.path, d.kind, d.control, d.candidate) for d in back
    ]


@few
@given(VALUES, VALUES)
def test_the_order_does_not_depend_on_the_order_of_keys(control: Any, candidate: Any) -> None:
    def turned(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: turned(value[key]) for key in reversed(value)}
        return [turned(each) for each in value] if isinstance(value, list) else value

    assert found(control, candidate) == found(turned(control), turned(candidate))


@few
@given(RECORDS, RECORDS)
def test_kinds_are_the_same_from_either_side_wherever_elements_have_moved(control: Any, candidate: Any) -> None:
    swapped = {Kind.MISSING: Kind.EXTRA, Kind.EXTRA: Kind.MISSING}
    there, back = walked(control, candidate), walked(candidate, control)
    assert Counter(swapped.get(each.kind, each.kind) for each in there) == Counter(each.kind for each in back)


@pytest.mark.parametrize(
    ("control", "candidate", "expected"),
    [
        (1, 1.0, [("", "type")]),
        (1, True, [("", "type")]),
        (0, False, [("", "type")]),
        (None, False, [("", "type")]),
        ("1", 1, [("", "type")]),
        (10**30, 10**30 + 1, [("", "value")]),
        ([1, 2], [1, 2, 3], [("", "length")]),
        ([1, 2], [3], [("", "length"), ("[0]", "value")]),
        ({"a": None}, {}, [("a", "missing")]),
        ({}, {"a": None}, [("a", "extra")]),
        ({"data": [{"id": 1}, {"id": 2}]}, {"data": [{"id": 1}, {"id": "2"}]}, [("data[1].id", "type")]),
        ({"b": 1, "a": {"z": 1, "y": 1}}, {"b": 2, "a": {"z": 2, "y": 2}}, [(p, "value") for p in ("a.y", "a.z", "b")]),
        ({"a": [True]}, {"a": [1]}, [("a[0]", "type")]),
        ([1, 2, 3], [3, 1, 2], [("", "order")]),
        ([1, 1, 2], [2, 2, 1], [("[0]", "value"), ("[1]", "value"), ("[2]", "value")]),
        ([{"a": 1}, {"a": 2}], [{"a": 2}, {"a": 1}], [("", "order")]),
    ],
)  # fmt: skip
def test_kinds_of_difference(control: Any, candidate: Any, expected: list[tuple[str, str]]) -> None:
    assert found(body(control), body(candidate)) == expected


@pytest.mark.parametrize(
    ("control", "candidate"),
    [(b"1.10", b"1.1"), (b"1e2", b"100.0"), (b"-0", b"0"), (b"0.0", b"-0e1"), (b"1E400", b"10e399")],
)
def test_numbers_are_compared_by_what_they_are_worth(control: bytes, candidate: bytes) -> None:
    assert found([control], [candidate]) == []


@pytest.mark.parametrize(
    ("control", "candidate"),
    [
        (b"0.10000000000000000001", b"0.1"),
        (b"1e99999999999999999999", b"2e99999999999999999999"),
        (b"9" * 5_000, b"9" * 4_999),
    ],
)
def test_no_digit_is_lost(control: bytes, candidate: bytes) -> None:
    assert found([control], [candidate]) == [("[0]", "value")]


def test_an_element_more_at_the_front_is_one_difference() -> None:
    rows = [{"id": number, "body": "x"} for number in range(5)]
    assert found(body(rows[1:]), body(rows)) == [("[0]", "extra")]
    assert found(body(rows), body(rows[1:])) == [("[0]", "missing")]
    assert found(body(rows[:3]), body(rows)) == [("", "length")]


def test_elements_that_have_moved_are_compared_with_themselves() -> None:
    control = [{"id": number, "body": "x"} for number in range(3)]
    candidate = [control[2], control[0], {"id": 1, "body": "y"}]
    assert found(body(control), body(candidate)) == [("", "order"), ("[1].body", "value")]
    (order, _) = walked(body(control), body(candidate))
    assert (order.control, order.candidate) == ([b"0", b"1", b"2"], [b"2", b"0", b"1"])


def test_elements_whose_ids_all_differ_stay_where_they_are() -> None:
    control, candidate = ([{"id": number + more, "body": "x"} for number in range(3)] for more in (0, 10))
    assert found(body(control), body(candidate)) == [(f"[{at}].id", "value") for at in range(3)]


NEAR = Tolerance("near", Decimal("0.01"), Decimal("0.1"))
SOON = Timestamp("soon", 2.0)


@pytest.mark.parametrize(
    ("rule", "control", "candidate", "within"),
    [
        (NEAR, 1.0, 1.1, True),
        (NEAR, 1.0, 1.12, False),
        (NEAR, 0.001, 0.011, True),
        (NEAR, 100, 110, True),
        (NEAR, 100, 112, False),
        (NEAR, 1, 1.0, True),
        (NEAR, "1.05", "1.10", True),
        (NEAR, "1.05", 1.10, False),
        (NEAR, "abc", "abd", False),
        (NEAR, True, False, False),
        (NEAR, None, 0, False),
        (SOON, "2026-01-13T10:00:00Z", "2026-01-13T10:00:02Z", True),
        (SOON, "2026-01-13T10:00:00Z", "2026-01-13T10:00:02.001Z", False),
        (SOON, "2026-01-13T10:00:00Z", "2026-01-13T11:00:01+01:00", True),
        (SOON, "2026-01-13T10:00:00Z", "2026-01-13T10:00:00", False),
        (SOON, "2026-01-13T10:00:00", "2026-01-13T10:00:01", True),
        (SOON, "2026-01-13T00:00:00", "2026-01-13", False),
        (SOON, 1_768_298_400, 1_768_298_402, True),
        (SOON, 1_768_298_400, 1_768_298_403, False),
        (SOON, 1_768_298_400_000, 1_768_298_401_999, True),
        (SOON, 1_768_298_400, 1_768_298_400_000, False),
        (SOON, 1_768_298_400.25, 1_768_298_400.75, True),
        (SOON, "1768298400", "1768298401", True),
        (SOON, "1768298400", 1_768_298_400, False),
        (SOON, "soon", "later", False),
        (SOON, {}, [], False),
    ],
)  # fmt: skip
def test_values_that_are_close_are_covered(rule: Rule, control: Any, candidate: Any, within: bool) -> None:
    a, b = body({"a": [control]}), body({"a": [candidate]})
    assert (covered(a, b, ("a[*]", rule)) == {rule.name: 1}) is within
    assert (found(a, b, ("a[*]", rule)) == []) is within


@few
@given(st.lists(VALUES), st.randoms(use_true_random=False))
def test_unordered_lists_are_equal_if_they_hold_the_same(values: list[Any], chance: Any) -> None:
    shuffled = copy.deepcopy(values)
    chance.shuffle(shuffled)
    assert found({"a": values}, {"a": shuffled}, ("a", Unordered("any"))) == []


def test_what_an_unordered_list_lacks_is_found() -> None:
    control, candidate = body({"a": [1, 2, 2, 3]}), body({"a": [3, 2, 5]})
    assert found(control, candidate, ("a", Unordered("any"))) == [("a[0]", "value"), ("a[2]", "missing")]
    assert covered(control, candidate, ("a", Unordered("any"))) == {"any": 1}


@pytest.mark.parametrize(
    ("control", "candidate", "rule"),
    [
        ([{"n": 1, "at": 1}, {"n": 2, "at": 2}, {"n": 3}], [{"n": 3, "at": 9}, {"n": 1, "at": 8}, {"n": 2}], "ignore"),
        ([{"n": 1, "x": [0.1]}, {"n": 2, "x": [5]}], [{"n": 2, "x": [5]}, {"n": 1, "x": [0.105]}], "tolerance"),
        ([0.1, 5.1, 9.1], [9.105, 0.105, 5.105], "tolerance"),
        (["2026-01-13T10:00:00Z", "2026-01-13T12:00:00Z"], ["2026-01-13T12:00:01Z", "2026-01-13T10:00:01Z"], "soon"),
        ([{"n": 1, "id": 7}, {"n": 2, "id": 8}], [{"n": 2, "id": 70}, {"n": 1, "id": 80}], "alias"),
        ([{"n": 1, "all": [1, 2]}, {"n": 2, "all": [3]}], [{"n": 2, "all": [3]}, {"n": 1, "all": [2, 1]}], "nested"),
    ],
)
def test_in_any_order_goes_with_what_rules_cover_in_the_elements(control: Any, candidate: Any, rule: str) -> None:
    rules: dict[str, list[Placed]] = {
        "ignore": [("a[*].at", Ignore("x"))],
        "tolerance": [("a[*]", NEAR), ("a[*].x[*]", NEAR)],
        "soon": [("a[*]", SOON)],
        "alias": aliased("a[*].id"),
        "nested": [("a[*].all", Unordered("all")), ("a[*].all[*]", NEAR)],
    }
    placed = [("a", Unordered("any")), *rules[rule]]
    assert found({"a": body(control)}, {"a": body(candidate)}, *placed) == []
    # They are alike but for what is covered.
    control, candidate = ([{**x, "n": 1} if isinstance(x, dict) else x for x in side] for side in (control, candidate))
    assert found({"a": body(control)}, {"a": body(candidate)}, *placed) == []


def test_what_is_too_far_apart_is_found_in_any_order() -> None:
    rules: list[Placed] = [("a", Unordered("any")), ("a[*]", NEAR)]
    assert found({"a": body([0.1, 5.1])}, {"a": body([7.1, 0.105])}, *rules) == [("a[1]", "value")]
    assert found({"a": body([5.1, 0.1, 9.1])}, {"a": body([9.1, 5.1])}, *rules) == [("a[1]", "missing")]


def test_what_is_written_otherwise_and_stands_twice_is_found_in_any_order() -> None:
    control, candidate = (
        {"d": [{"k": key.encode(), "v": b"1"} for key in keys]} for keys in (("1.0", "1.00"), ("1.0",) * 2)
    )
    assert found(control, candidate, ("d", Unordered("by k", parse("k")))) == []
    assert found(candidate, control, ("d", Unordered("any"))) == []


def test_elements_that_are_written_otherwise_find_each_other() -> None:
    control = body([{"a": 1, "b": [True]}, {"a": 1, "b": [1]}, {"a": 2, "b": [1]}, {"a": 2, "b": [1]}])
    candidate = body([{"b": [1], "a": 2}, {"b": [1], "a": 1}, {"a": 2, "b": [1]}, {"b": [True], "a": 1}])
    assert found({"a": control}, {"a": candidate}, ("a", Unordered("any"))) == []
    assert found(control, candidate) == [("", "order")]
    assert found({"a": control}, {"a": candidate[1:]}, ("a", Unordered("any"))) == [("a[3]", "missing")]


def test_elements_are_found_by_their_key() -> None:
    control = body([{"user": {"id": 1}, "n": 1}, {"user": {"id": 2}, "n": 2}, {"n": 3}, {"user": {"id": 4}, "n": 4}])
    candidate = body([{"user": {"id": 2}, "n": 9}, {"n": 3}, {"user": {"id": 1}, "n": 1}, {"user": {"id": 5}, "n": 5}])
    rule = Unordered("by user", parse("user.id"))
    holding = {"data": control}, {"data": candidate}
    assert found(*holding, ("data", rule)) == [("data[1].n", "value"), ("data[3]", "missing"), ("data[3]", "extra")]
    assert covered(*holding, ("data", rule)) == {"by user": 1}


def aliased(*places: str) -> list[Placed]:
    return [(place, Alias("ids", 0)) for place in places]


def test_ids_may_stand_for_each_other() -> None:
    control = body({"rows": [{"id": 1, "of": None}, {"id": 2, "of": 1}, {"id": 3, "of": 1}]})
    candidate = body({"rows": [{"id": 7, "of": None}, {"id": 8, "of": 7}, {"id": 3, "of": 7}]})
    rules = aliased("rows[*].id", "rows[*].of")
    assert found(control, candidate, *rules) == []
    assert covered(control, candidate, *rules) == {"ids": 4}


@pytest.mark.parametrize(
    ("candidate", "broken"),
    [
        ([7, 8, 7], []),
        ([7, 8, 8], ["[2]"]),  # 1 stands for 7 already, and 8 for 2
        ([7, 7, 7], ["[1]"]),
        ([1, 2, 2], ["[2]"]),  # though it has a counterpart of its own
        ([2, 1, 2], []),
    ],
)
def test_a_broken_correspondence_is_a_difference(candidate: list[int], broken: list[str]) -> None:
    assert found(body([1, 2, 1]), body(candidate), *aliased("[*]")) == [(place, "alias") for place in broken]


def test_an_equal_id_that_stands_for_another_is_a_difference() -> None:
    rules = aliased("[*].id")
    control, candidate = body([{"id": 1}, {"id": 2}, {"id": 2}]), body([{"id": 2}, {"id": 1}, {"id": 2}])
    assert found(control, candidate, *rules) == [("[2].id", "alias")]


def test_ids_of_other_groups_are_others() -> None:
    rules: list[Placed] = [("a", Alias("a", 0)), ("b", Alias("b", 1))]
    assert found(body({"a": 1, "b": 1}), body({"a": 7, "b": 8}), *rules) == []


@given(st.lists(st.integers(0, 5)), st.permutations(range(6)))
def test_any_renaming_one_to_one_is_covered(ids: list[int], names: list[int]) -> None:
    renamed = [names[each] for each in ids]
    assert found(body({"a": ids}), body({"a": renamed}), *aliased("a[*]")) == []


@given(st.lists(st.integers(0, 3)), st.lists(st.integers(0, 3)))
def test_a_correspondence_holds_only_if_it_is_one_to_one(ids: list[int], others: list[int]) -> None:
    pairs = set(zip(ids, others, strict=False))
    one_to_one = len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
    size = min(len(ids), len(others))
    assert (found(body(ids[:size]), body(others[:size]), *aliased("[*]")) == []) is one_to_one


def test_an_alias_is_no_change_of_type_and_nothing_that_is_missing() -> None:
    control, candidate = body({"a": 1, "b": 2}), body({"a": "1"})
    assert found(control, candidate, *aliased("a", "b")) == [("a", "type"), ("b", "missing")]


RULES: list[Placed] = [
    *ignoring("a", "b[*]", "[0]"),
    *aliased("a.id", "[*]", "[*].id", "id"),
    ("b", Unordered("any")),
    ("[*]", Unordered("by a", parse("a"))),
    ("a.b", NEAR),
    ("[*].a", SOON),
]


@few
@given(VALUES, st.lists(st.sampled_from(RULES)))
def test_a_value_agrees_with_itself_under_all_rules(value: Any, rules: list[Placed]) -> None:
    left = [each for each in walked(value, copy.deepcopy(value), *rules) if each.kind is not Kind.ALIAS]
    assert left == []


def test_hostile_nesting_is_compared_without_recursion() -> None:
    control: Any = b"1"
    candidate: Any = b"2"
    for _ in range(100_000):
        control, candidate = [control], [candidate]
    ((path, kind),) = found(control, candidate)
    assert (path[:6], path[-6:], kind) == ("[*][*]", "[*][*]", "value")
    assert found({"a": control}, {"a": candidate}, ("a", Unordered("any")))[0][1] == "value"


def test_what_nests_deep_costs_no_more_than_its_size() -> None:
    control: Any = [b"%d" % number for number in range(1_000)]
    candidate: Any = [*control[:-1], b"-1"]
    for _ in range(900):
        control, candidate = [control, b"1"], [candidate, b"1"]
    assert len(walked(control, candidate, effort=20_000)) == 1


def test_more_than_was_allowed_is_not_compared() -> None:
    control, candidate = ([b"%d" % (number + more) for number in range(1_000)] for more in (0, 5_000))
    assert len(walked(control, candidate, effort=5_000)) == 1_000
    with pytest.raises(Exhausted):
        walked(control, candidate, effort=500)
