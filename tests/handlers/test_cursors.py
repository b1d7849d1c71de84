from __future__ import annotations

from base64 import urlsafe_b64encode
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.cursors import LAST_MICROSECOND, at, decode, encode, microseconds
from handlers.ids import LARGEST_ID

IDS = st.integers(0, LARGEST_ID)


def written(text: str) -> str:
    return urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


@given(IDS)
def test_an_id_comes_back(id: int) -> None:
    assert decode(encode(id), LARGEST_ID) == (id,)


@given(st.datetimes(min_value=datetime(1970, 1, 1)), IDS)
def test_a_moment_and_an_id_come_back(moment: datetime, id: int) -> None:
    cursor = encode(microseconds(moment), id)
    decoded = decode(cursor, LAST_MICROSECOND, LARGEST_ID)
    assert decoded is not None
    assert (at(decoded[0]), decoded[1]) == (moment, id)


@given(st.text(max_size=40) | st.text("0123456789:=MTox-_+/", max_size=40))
def test_only_what_would_be_written_so_is_read(text: str) -> None:
    for limits in [(LARGEST_ID,), (LAST_MICROSECOND, LARGEST_ID)]:
        decoded = decode(text, *limits)
        assert decoded is None or encode(*decoded) == text


def test_the_form_is_unpadded_base64url_of_decimal_numbers() -> None:
    assert encode(1) == "MQ"
    assert encode(1771057800000000, 432) == "MTc3MTA1NzgwMDAwMDAwMDo0MzI"


@pytest.mark.parametrize(
    "text", ["", "1:2:3", "-1", "+1", "01", " 1", "1 ", "1\n", "1.0", "one", "١", str(2**63), "9" * 400]
)
def test_other_numbers_are_refused(text: str) -> None:
    assert decode(written(text), LARGEST_ID) is None


@pytest.mark.parametrize("cursor", ["MQ==", "MQ=", "M Q", "MQ\n", "MR", "é", "%", "M"])
def test_other_spellings_are_refused(cursor: str) -> None:
    assert decode(cursor, LARGEST_ID) is None


def test_the_limits_are_the_last_that_are_read() -> None:
    assert decode(encode(LAST_MICROSECOND, LARGEST_ID), LAST_MICROSECOND, LARGEST_ID) is not None
    assert decode(encode(LAST_MICROSECOND + 1, 1), LAST_MICROSECOND, LARGEST_ID) is None
    assert decode(encode(1, LARGEST_ID + 1), LAST_MICROSECOND, LARGEST_ID) is None
    assert at(LAST_MICROSECOND) == datetime.max
