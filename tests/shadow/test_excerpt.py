from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shadow.compare import Difference, Kind
from shadow.excerpt import EVERYTHING_HIDDEN, Excerpt, Shown, digest, excerpts
from shadow.paths import ABRIDGED
from shadow.shown import NODES, TEXT, Room

SALT = b"s" * 16
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


def kept(value: Any, path: str = "data.name", shown: Shown = EVERYTHING_HIDDEN, kind: Kind = Kind.VALUE) -> Excerpt:
    return excerpts(Difference(path, kind, value, None), SALT, shown)[0]


@pytest.mark.parametrize(
    ("value", "type", "length"),
    [
        ("Jürgen", "text", 6),
        (12, "integer", None),
        (True, "boolean", None),
        (Decimal("0.10"), "decimal", None),
        ([1, 2], "list", 2),
        ({"a": 1}, "object", 1),
        (b"odd", "bytes", None),
    ],
)
def test_a_value_is_its_type_length_and_digest(value: Any, type: str, length: int | None) -> None:
    found = kept(value)
    assert (found.type, found.length, found.shown) == (type, length, None)
    assert found.digest is not None
    assert len(found.digest) == 10


def test_nothing_tells_itself() -> None:
    assert kept(None) == Excerpt("null", shown="null")


@pytest.mark.parametrize(
    ("kind", "path", "value", "shown"),
    [
        (Kind.STATUS, "", 200, "200"),
        (Kind.ERROR, "", "deadline", '"deadline"'),
        (Kind.LENGTH, "data", 3, "3"),
        (Kind.TYPE, "", "json", '"json"'),
        (Kind.HEADER, "headers.content-type", ["text/html"], '["text/html"]'),
    ],
)
def test_what_is_no_value_of_anybody_is_seen(kind: Kind, path: str, value: Any, shown: str) -> None:
    assert kept(value, path, kind=kind).shown == shown


def test_a_location_and_an_etag_are_values() -> None:
    for name in ("location", "etag"):
        assert kept(["/users/1"], f"headers.{name}", kind=Kind.HEADER).shown is None


def test_the_side_that_lacks_it_has_nothing() -> None:
    assert excerpts(Difference("a", Kind.MISSING, 1, None), SALT)[1] == Excerpt("absent")
    assert excerpts(Difference("a", Kind.EXTRA, None, 1), SALT)[0] == Excerpt("absent")


@pytest.mark.parametrize(
    ("field", "path"),
    [
        ("data.status", "data.status"),
        ("data", "data.status"),
        ("data[*].status", "data[12].status"),
        ("data[0]", "data[0].a.b"),
        ('data["odd key"]', 'data["odd key"].x'),
        ("headers.location", "headers.location"),
        (".", "data.status"),
        (".", ""),
    ],
)
def test_a_field_on_the_list_is_shown_and_all_beneath_it(field: str, path: str) -> None:
    assert kept("open", path, Shown.parse([field])).shown == '"open"'


@pytest.mark.parametrize(
    ("field", "path"),
    [
        ("data.status", "data.state"),
        ("data.status", "data"),
        ("data.status", ""),
        ("data[1]", "data[0]"),
        ("headers.location", "location"),
        ("location", "headers.location"),
        ("data", "no path at all ["),
        (".", "headers.location"),
        (".", f"data{ABRIDGED}status"),
    ],
)
def test_every_other_field_is_not(field: str, path: str) -> None:
    assert kept("open", path, Shown.parse([field])).shown is None


@pytest.mark.parametrize("path", ["data.accessToken", "user.email", "headers.set-cookie"])
def test_a_secret_has_its_type_alone_whatever_is_allowed(path: str) -> None:
    assert kept("hunter2", path, Shown.parse([path])) == Excerpt("secret text")
    assert kept(None, path, Shown.parse([path])) == Excerpt("secret null")


def test_what_a_long_path_leaves_out_may_tell_of_a_secret() -> None:
    assert kept("hunter2", f"data{ABRIDGED}0123456789{ABRIDGED}.a") == Excerpt("secret text")


def test_of_a_cookie_only_its_attributes_are_kept() -> None:
    found = kept("sid=hunter2; httponly; path=/", "headers.set-cookie.sid", Shown.parse(["headers.set-cookie.sid"]))
    assert found == Excerpt("cookie", shown="httponly; path=/")
    assert kept("sid=hunter2", "headers.set-cookie.sid") == Excerpt("cookie", shown="")


def test_a_field_that_cannot_be_read_is_named() -> None:
    with pytest.raises(ValueError, match="data\\.\\."):
        Shown.parse(["data..x"])


@settings(max_examples=60)
@given(JSON, JSON)
def test_digests_are_equal_where_values_are(a: Any, b: Any) -> None:
    assert digest(a, SALT) == digest(a, SALT)
    assert (digest(a, SALT) == digest(b, SALT)) == (repr_of(a) == repr_of(b))


def repr_of(value: Any) -> str:
    """As JSON is compared: strictly by type, whatever the order of keys."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key!r}: {repr_of(value[key])}' for key in sorted(value))}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(repr_of, value))}]"
    return repr(value)


def test_digests_of_another_salt_are_others() -> None:
    assert digest("a", SALT) != digest("a", b"t" * 16)


@pytest.mark.parametrize("value", ["x" * TEXT + "y", ["a" * 3_000] * 60, {"a": "b" * 10_000}, [[["c"] * 50] * 50] * 50])
def test_of_what_is_handed_on_in_part_the_whole_is_told(value: Any) -> None:
    given, _ = Room().for_both(value, None)
    assert given != value
    found = kept(given)
    assert (found.length, found.digest) == (len(value), digest(value, SALT))
    assert kept(given, shown=Shown.parse(["data"])).shown is not None


def test_texts_that_part_late_are_told_as_long_as_they_are() -> None:
    a, b = "x" * 10_000, "x" * 10_001
    one, two = excerpts(Difference("t", Kind.VALUE, *Room().for_both(a, b)), SALT)
    assert (one.length, two.length, one.digest, two.digest) == (10_000, 10_001, digest(a, SALT), digest(b, SALT))


def test_where_a_list_ends_shows_in_its_digest() -> None:
    assert digest([[1], 2], SALT) != digest([[1, 2]], SALT)
    assert digest({"a": "b"}, SALT) != digest(["a", "b"], SALT)
    assert digest({"b": 1, "a": 2}, SALT) == digest({"a": 2, "b": 1}, SALT)


def test_what_is_large_has_no_digest() -> None:
    deep: Any = "x"
    for _ in range(10_000):
        deep = [deep]
    wide = {str(number): number for number in range(100_000)}
    assert digest(deep, SALT) is digest(wide, SALT) is None
    assert kept([1] * (NODES + 1)) == Excerpt("list", NODES + 1)
    assert kept([1] * NODES).digest is not None
    assert kept("\ud800").digest is not None
