"""How many files and connections this process may have open."""

from __future__ import annotations

import resource
from contextlib import suppress


def raise_limit() -> None:
    """As many as it may allow itself: what most are started with, 1 024, is used up by some 1 000 idle users."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # not allowed: then as many as before
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
