"""Keys of pages: opaque to the caller, and the same bytes whichever side wrote them. No I/O."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import datetime, timedelta

EPOCH = datetime(1970, 1, 1)
LAST_MICROSECOND = (datetime.max - EPOCH) // timedelta(microseconds=1)  # the end of year 9999
NUMBER = re.compile(r"[0-9]{1,19}", re.ASCII)


def encode(*numbers: int) -> str:
    text = ":".join(str(number) for number in numbers)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def decode(cursor: str, *limits: int) -> tuple[int, ...] | None:
    """One number for each limit, none of them beyond it; None unless `encode` would write this very cursor."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        return None
    parts = text.split(":")
    if len(parts) != len(limits) or not all(NUMBER.fullmatch(part) for part in parts):
        return None
    numbers = tuple(int(part) for part in parts)
    if any(number > limit for number, limit in zip(numbers, limits, strict=True)) or encode(*numbers) != cursor:
        return None
    return numbers


def microseconds(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1)


def at(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=microseconds)
