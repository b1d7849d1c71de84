"""How much of a soak is asked: all of it, unless SOAK in the environment says how large a part, such as 0.2."""

from __future__ import annotations

import os

PART = float(os.environ.get("SOAK", "1"))


def part(whole: int) -> int:
    """So much of a number, and at least one."""
    return max(1, round(PART * whole))
