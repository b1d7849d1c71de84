from __future__ import annotations

import pickle

import pytest

from shadow.paths import parse
from shadow.rules import COMPARED, Alias, Correspondence, Ignore, Place, Rules, Tolerance


def place(*written: str) -> Place:
    return Place([(parse(each), Ignore(each)) for each in written])


def at(start: Place, *segments: str | int) -> Place | None:
    here: Place | None = start
    for segment in segments:
        here = None if here is None else here.step(segment)
    return here


def test_rules_hold_where_they_are_written() -> None:
    start = place("data[*].id", "data[3].name", 'data["*"]')
    found = at(start, "data", 7, "id")
    assert found is not None
    assert found.ignored == "data[*].id"
    assert at(start, "data", 7, "name") is None
    exact = at(start, "data", 3, "name")
    assert exact is not None
    assert exact.ignored == "data[3].name"
    both = at(start, "data", 3, "id")
    assert both is not None
    assert both.ignored == "data[*].id"
    key = at(start, "data", "*")
    assert key is not None
    assert key.ignored == 'data["*"]'
    assert at(start, "other") is None


def test_a_rule_for_every_element_holds_for_every_key() -> None:
    start = place("byId[*].at", "byId.17.name", ".")
    for key in ("17", "18"):
        found = at(start, "byId", key, "at")
        assert found is not None
        assert found.ignored == "byId[*].at"
    named = at(start, "byId", "17", "name")
    assert named is not None
    assert named.ignored == "byId.17.name"
    assert at(start, "byId", "18", "name") is None
    assert start.ignored == "."


def test_what_no_rule_names_is_not_remembered() -> None:
    start = place("data[*].id")
    for number in range(1_000):
        assert start.step(f"key {number}") is None
        rows = start.step("data")
        assert rows is not None
        assert rows.step(number) is rows.step(0)
    assert len(pickle.dumps(start)) < 2_000


def test_rules_that_were_handed_on_hold_as_before() -> None:
    rules = Rules.parse(["a.b", "headers.etag"], rules=[("c", Tolerance("c"))], cookies=["x"])
    again: Rules = pickle.loads(pickle.dumps(rules))  # noqa: S301  # our own
    assert (again.headers, again.ignored_headers, again.cookies) == (COMPARED, {b"etag": "ignore headers.etag"}, {"x"})
    assert again.body is not None
    found = at(again.body, "a", "b")
    assert found is not None
    assert found.ignored == "ignore a.b"


def test_a_place_knows_whether_an_alias_is_beneath_it() -> None:
    start = Place([(parse("a.b"), Alias("x", 0)), (parse("c"), Ignore("c"))])
    assert start.aliased
    beneath, other = start.step("a"), start.step("c")
    assert beneath is not None
    assert beneath.aliased
    assert other is not None
    assert not other.aliased


@pytest.mark.parametrize("written", ["data[x]", "", "headers", "a..b"])
def test_a_rule_that_cannot_be_read_is_named(written: str) -> None:
    with pytest.raises(ValueError, match="cannot be read at") as refused:
        Rules.parse(["data.id", written])
    assert repr(written) in str(refused.value)
    with pytest.raises(ValueError, match="cannot be read at"):
        Rules.parse(rules=[(written, Tolerance("x"))])


def test_a_correspondence_is_one_to_one_within_its_group() -> None:
    known = Correspondence()
    assert known.holds(0, "a", "x")
    assert known.holds(0, "a", "x")
    assert known.holds(1, "a", "y")
    assert not known.holds(0, "a", "y")
    assert not known.holds(0, "b", "x")
    assert known.holds(0, "b", "y")
    assert not known.holds(0, "c", b"1")
