"""Durations, sizes and shares as people write them.  No I/O."""

from __future__ import annotations

import re
from decimal import Decimal

_SECONDS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600)}
_BYTES = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_DAY = 86_400

_QUANTITY = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?) ?([A-Za-z%µ]*)")


def duration(value: object) -> float:
    """Seconds."""
    number, unit = _quantity(value, f"{value}s or {value}000ms", "10s or 250ms")
    if unit not in _SECONDS:
        raise ValueError(f'"{value}" has the unit {unit}, which is no duration; use ms, s, m or h')
    seconds = number * _SECONDS[unit]
    if seconds == 0:
        raise ValueError(f'"{value}" is no time at all; it must be longer than 0')
    if seconds > _DAY:
        raise ValueError(f'"{value}" is longer than a day (24h)')
    return float(seconds)


def long_duration(value: object, longest: int) -> float:
    """Seconds, of what may take days: as many as `longest`."""
    number, unit = _quantity(value, f"{value}d or {value}h", "7d or 12h")
    units = {**_SECONDS, "d": Decimal(_DAY)}
    if unit not in units:
        raise ValueError(f'"{value}" has the unit {unit}, which is no duration; use s, m, h or d')
    seconds = number * units[unit]
    if not 0 < seconds <= longest * _DAY:
        raise ValueError(f'"{value}" must be longer than 0 and no longer than {longest} days')
    return float(seconds)


def size(value: object) -> int:
    """Bytes."""
    number, unit = _quantity(value, f"{value}B or {value}KiB", "256KiB or 1MiB")
    if unit not in _BYTES:
        raise ValueError(f'"{value}" has the unit {unit}, which is no size; use B, KiB, MiB or GiB')
    total = number * _BYTES[unit]
    if total != int(total):
        raise ValueError(f'"{value}" is no whole number of bytes')
    return int(total)


def share(value: object) -> int:
    """Basis points, 0 to 10 000."""
    number, unit = _quantity(value, f"{value}%", "5% or 0.05%")
    if unit != "%":
        raise ValueError(f'"{value}" has the unit {unit}, which is no share; use %')
    if number > 100:
        raise ValueError(f'"{value}" is outside 0–100 %')
    points = number * 100
    if points != int(points):
        raise ValueError(f'"{value}" is finer than a basis point (0.01%)')
    return int(points)


def rate(value: object) -> float:
    """A fraction, 0 to 1, written like a share."""
    return share(value) / 10_000


def _quantity(value: object, repair: str, example: str) -> tuple[Decimal, str]:
    found = _QUANTITY.fullmatch(str(value)) if isinstance(value, (str, int, float)) else None
    if found is None or isinstance(value, bool):
        raise ValueError(f'"{value}" is not a number with a unit; write it like {example}')
    if not found[2]:
        raise ValueError(f'"{value}" has no unit; write {repair}')
    return Decimal(found[1]), found[2]
