from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.replay.parts import Splitter, Unended

PATH = ("log", "entries", "")
VALUES = st.recursive(
    st.none() | st.integers() | st.text(st.sampled_from('{}[]",:\\aé\n') | st.characters(codec="utf-8"), max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["log", "entries", "a"]), inner),
    max_leaves=10,
)
OBJECTS = st.dictionaries(st.text(max_size=3), VALUES, max_size=3)


def split(text: bytes, size: int, limit: int = 1_000_000) -> list[Any]:
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    found = Splitter(PATH, limit).split(pieces)
    return [None if element is None else json.loads(element) for element in found]


@settings(max_examples=40)
@given(st.lists(OBJECTS | st.lists(VALUES), max_size=4), VALUES, st.integers(1, 50), st.booleans())
def test_a_list_deep_in_a_document_is_given_element_by_element(
    elements: list[Any], other: Any, size: int, indented: bool
) -> None:
    document = {"version": other, "log": {"pages": other, "entries": elements, "after": other}, "x": [other]}
    text = json.dumps(document, indent=2 if indented else None, ensure_ascii=False).encode()
    assert split(text, size) == elements


@given(st.binary(max_size=80) | st.text(st.sampled_from('{}[]",:\\loge ntris')).map(str.encode), st.integers(1, 9))
def test_whatever_bytes_come_nothing_breaks(text: bytes, size: int) -> None:
    splitter = Splitter(PATH, 20)
    try:
        for part in splitter.split([text[at : at + size] for at in range(0, len(text), size)]):
            assert part is None or len(part) <= 20
    except Unended:
        pass


def test_a_part_that_is_too_large_is_none_and_is_not_kept() -> None:
    text = json.dumps({"log": {"entries": [{"a": 1}, {"a": "x" * 100, "b": [1]}, {"a": 2}]}}).encode()
    assert split(text, 7, limit=20) == [{"a": 1}, None, {"a": 2}]


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_document_that_ends_in_the_middle_is_told_apart_wherever_that_is(cut: int) -> None:
    text = b'{"log": {"entries": [{"a": "\\"}"}, {}]}}'
    found = []
    with pytest.raises(Unended):
        found += list(Splitter(PATH, 100).split([text[:cut]]))
    assert found == []


@pytest.mark.parametrize(
    "document",
    [
        {"entries": [{}]},
        {"log": [{"entries": [{}]}]},
        {"x": {"log": {"entries": [{}]}}},
        {"log": {"x": [{}]}},
        {"log": {"entriesentriesentriesentriesentriesentriesentriesentriesentriesentries": [{}]}},
        {},
        [],
    ],
)
def test_only_the_list_at_its_place_counts(document: object) -> None:
    splitter = Splitter(PATH, 100)
    assert list(splitter.split([json.dumps(document).encode()])) == []
    assert not splitter.found


def test_a_document_that_opens_for_ever_costs_nothing() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(Unended):
            list(Splitter(PATH, 100).split([b'{"log": {"entries": [', *[b"[" * 1000] * 50]))
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_a_part_of_each_element_is_given_without_the_rest_of_it() -> None:
    entries = [{"response": {"request": {"a": 1}}, "request": {"b": 2}}, {}, {"request": "c"}, {"request": {"d": [4]}}]
    splitter = Splitter((*PATH, "request"), 100)
    found = splitter.split([json.dumps({"log": {"entries": entries}, "request": {"e": 5}}).encode()])
    assert [json.loads(part or b"") for part in found] == [{"b": 2}, {"d": [4]}]
    assert splitter.found


def test_an_empty_list_is_found_all_the_same() -> None:
    splitter = Splitter(PATH, 100)
    assert (list(splitter.split([b'{"log": {"entries": []}}'])), splitter.found) == ([], True)
