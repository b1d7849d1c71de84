"""What users are told without a side being asked: counted by its status, and recorded if it answers a request."""

from __future__ import annotations

import time
from collections.abc import Callable

from proxy.exposition import Family
from proxy.hops import Arrived
from proxy.strict import LastWord


class Here:
    """`record` hears of a request that has been answered, and how many seconds that took."""

    def __init__(self, answered: Family, record: Callable[[Arrived, float], None] | None = None) -> None:
        self._answered, self._record = answered, record

    def told(self, word: LastWord) -> None:
        self._answered.labels(str(word.status)).inc()
        if self._record is not None and isinstance(word, Arrived):
            self._record(word, time.perf_counter() - word.at)
