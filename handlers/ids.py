"""Ids of rows: positive 64-bit integers. No I/O."""

from __future__ import annotations

import re

LARGEST_ID = 2**63 - 1
DECIMAL = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)


def row_id(decimal: str) -> int | None:
    """The id that is written so, without sign or leading zero; None for anything else."""
    number = int(decimal) if DECIMAL.fullmatch(decimal) else LARGEST_ID + 1
    return number if number <= LARGEST_ID else None
