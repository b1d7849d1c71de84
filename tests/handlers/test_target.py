from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.errors import BadRequest
from handlers.ids import LARGEST_ID
from handlers.target import RowId, parameters, path


@pytest.mark.parametrize(
    ("raw", "routed"),
    [
        (b"/a/b", "/a/b"),
        (b"/a/b/", "/a/b"),
        (b"//a///b//", "/a/b"),
        (b"/", "/"),
        (b"///", "/"),
        (b"", "/"),
        (b"/a%2Fb", "/a%2Fb"),
        (b"/%63", "/%63"),
        (b"/a/../b", "/a/../b"),
    ],
)
def test_a_path_is_routed_undecoded_and_without_needless_slashes(raw: bytes, routed: str) -> None:
    assert path(raw, "ignored") == routed


def test_a_server_that_tells_no_raw_path_is_served_too() -> None:
    assert path(None, "/a b/é/") == "/a%20b/%C3%A9"


@pytest.mark.parametrize("raw", [b"/%ff", b"/a/%c3", b"/\xff"])
def test_a_path_that_is_no_text_is_refused(raw: bytes) -> None:
    with pytest.raises(BadRequest):
        path(raw, "")


@pytest.mark.parametrize(
    ("query", "values"),
    [
        (b"", {}),
        (b"a=1&b=2;c=3", {"a": "1", "b": "2", "c": "3"}),
        (b"a=1&a=2", {"a": "2"}),
        (b"a", {"a": None}),
        (b"a=", {"a": ""}),
        (b"=1&&;", {}),
        (b"a=b=c", {"a": "b=c"}),
        (b"a=1+2%2B3", {"a": "1 2+3"}),
        (b"%61=%C3%A9", {"a": "é"}),
        (b"a[]=1&a[]=2", {"a": ["1", "2"]}),
        (b"a[b]=1&a[c][]=2", {"a": {"b": "1", "c": ["2"]}}),
        (b"a[][b]=1&a[][c]=2&a[][b]=3", {"a": [{"b": "1", "c": "2"}, {"b": "3"}]}),
        (b"a[][b][c]=1&a[][b][d]=2&a[][b][c]=3", {"a": [{"b": {"c": "1", "d": "2"}}, {"b": {"c": "3"}}]}),
        (b"a[][b][]=1&a[][b][]=2", {"a": [{"b": ["1", "2"]}]}),
        (b"a[][]=1&a[][]", {"a": [["1"], None]}),
        (b"a[[]=1", {"a": None}),
        (b"a[b]&a[b][c]=1", {"a": {"b": {"c": "1"}}}),
        (b"a[x%0A[]y]=1", {"a": [{"y": "1"}]}),
        (b"a[]=1&a=2", {"a": "2"}),
        (b"a&a[]=1", {"a": ["1"]}),
        (b"[a]=1", {"a": "1"}),
        (b"a]=1", {"a": "1"}),
        (b"a[=1", {"a[": "1"}),
        (b"a=1; b=2", {"a": "1", "b": "2"}),
        (b"[]=1", {}),
    ],
)
def test_parameters_are_read_by_racks_rules(query: bytes, values: dict[str, object]) -> None:
    assert parameters(query) == values


@pytest.mark.parametrize(
    "query",
    [
        *(b"a=%", b"a=%4", b"%zz=1", b"a=%ff", b"%ff=1", b"a=1&a[]=2", b"a[]=1&a[b]=2", b"a[b]=1&a[]=2", b"&" * 4096),
        *(b"a[b]=1&a[b][]=2", b"a[b][]=1&a[b][c]=2", b"a[][b]=1&a[][b][]=2", b"a[]=1&a[][b]=2&a[][b][c]=3"),
    ],
)
def test_a_query_that_cannot_be_read_is_refused(query: bytes) -> None:
    with pytest.raises(BadRequest):
        parameters(query)


@given(st.binary(max_size=60) | st.text("ab[]=&;%4+ ", max_size=60).map(str.encode))
def test_any_other_query_is_read(query: bytes) -> None:
    try:
        values = parameters(query)
    except BadRequest:
        return
    assert all(value is None or isinstance(value, str | list | dict) for value in values.values())


@pytest.mark.parametrize(
    ("segment", "id"),
    [
        ("1", 1),
        ("%31", 1),
        (str(LARGEST_ID), LARGEST_ID),
        (str(LARGEST_ID + 1), 0),
        ("0", 0),
        ("01", 0),
        ("-1", 0),
        ("1%0A", 0),
        ("1%00", 0),
        ("%D9%A1", 0),
        ("9" * 5000, 0),
        ("x", 0),
    ],
)
def test_what_is_no_id_is_no_rows_id(segment: str, id: int) -> None:
    assert RowId().convert(segment) == id


def test_an_id_is_written_in_digits() -> None:
    assert RowId().to_string(12) == "12"
