"""How often a route's differences may be confirmed, for both sides are asked again each time. No I/O, no clock."""

from __future__ import annotations

from typing import Final

SHARE: Final = 0.05  # of a route's comparisons: where everything differs, legacy hardly has more to do than elsewhere
AT_ONCE: Final = 20  # that a route may have saved up: all of those of a route that seldom differs


class Allowance:
    """Each comparison of a route earns it a part of a confirmation."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = float(at_once)
        self._left: dict[str, float] = {}

    def earn(self, route: str) -> None:
        self._left[route] = min(self._left.get(route, self._at_once) + SHARE, self._at_once)

    def spend(self, route: str) -> bool:
        """Whether one more difference of the route may be confirmed."""
        left = self._left.get(route, self._at_once)
        if left < 1.0:
            return False
        self._left[route] = left - 1.0
        return True
