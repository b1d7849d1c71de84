"""New ids of requests and traces.

The digits are drawn from the system's source in bulk: one draw for a hundred requests costs little more than one draw.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

_AT_ONCE = 100
_DIGITS = 48  # 32 of the request and its trace, 16 of the span


def _drawn() -> Iterator[tuple[str, bytes]]:
    while True:
        block = os.urandom(_DIGITS // 2 * _AT_ONCE).hex()
        for start in range(0, len(block), _DIGITS):
            request = block[start : start + 32]
            yield request, f"00-{request}-{block[start + 32 : start + _DIGITS]}-01".encode()


class _Source:
    """Where the digits come from in this process."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        self.ids = _drawn()


_source = _Source()
os.register_at_fork(after_in_child=_source.renew)  # or parent and child would give the same ids


def new_ids() -> tuple[str, bytes]:
    """A request id, and a W3C trace context of our own, sampled, whose trace has the same digits."""
    return next(_source.ids)
