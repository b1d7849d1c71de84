"""New ids of requests and traces.

The digits are drawn from the system's source in bulk: one draw for a hundred requests costs little more than one draw.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

_AT_ONCE = 100


def _drawn(digits: int) -> Iterator[str]:
    while True:
        block = os.urandom(digits // 2 * _AT_ONCE).hex()
        for start in range(0, len(block), digits):
            yield block[start : start + digits]


class _Source:
    """Where the digits come from in this process."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        self.requests, self.traces = _drawn(32), _drawn(48)


_source = _Source()
os.register_at_fork(after_in_child=_source.renew)  # or parent and child would give the same ids


def new_request_id() -> str:
    return next(_source.requests)


def new_trace() -> bytes:
    """A W3C trace context of our own, sampled."""
    drawn = next(_source.traces)
    return f"00-{drawn[:32]}-{drawn[32:]}-01".encode()
