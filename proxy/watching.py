"""Commands that go on until they are interrupted: each event as it comes, and the status drawn anew."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from proxy.orders import Event, OrderFailed, Orders, Told

EVERY = 1.0  # seconds between two looks: verdicts move without an event
PAUSE = 0.5  # seconds between two attempts to listen again
PATIENCE = 30.0  # seconds that a proxy may be away: as long as it takes one to start


def follow(orders: Orders, tell: Callable[[Told], None], patience: float = PATIENCE) -> None:
    """Tell each event, each once, though the worker that tells them be replaced; OrderFailed when nobody answers."""
    again = Retrying(
        retry=retry_if_exception_type(OrderFailed),
        wait=wait_fixed(PAUSE),
        stop=stop_after_delay(patience),
        reraise=True,
    )
    after, events = "", _begun(orders, "")
    while True:
        for place, told in events:
            after = place
            if told is not None:
                tell(told)
        events = again(_begun, orders, after)


def watch(orders: Orders, draw: Callable[[], None]) -> None:
    """Draw now, at each event, and each second."""
    news, over = threading.Event(), threading.Event()
    threading.Thread(target=_wake, args=(orders, news.set, over), daemon=True).start()
    try:
        while True:
            draw()
            news.wait(EVERY)
            news.clear()
    finally:
        over.set()


def _begun(orders: Orders, after: str) -> Iterator[Event]:
    """A stream that stands: its first event says at once where it begins."""
    events = orders.events(after)
    first = next(events, None)
    if first is None:
        raise OrderFailed(f"the proxy at {orders.address} ended its events before they began")
    return itertools.chain([first], events)


def _wake(orders: Orders, wake: Callable[[], None], over: threading.Event) -> None:
    while not over.is_set():
        with suppress(OrderFailed):  # whoever draws says it, too
            follow(orders, lambda told: wake(), patience=0.0)
        over.wait(EVERY)
