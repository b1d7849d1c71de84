"""What an operator hears who gives native so much that legacy is hardly asked any more."""

from __future__ import annotations

from contextlib import suppress

from proxy import show, terminal
from proxy.orders import OrderFailed, Orders


def warn(orders: Orders, path: str) -> None:
    """How long a defect would last there, if that is for want of anything to compare native with."""
    with suppress(OrderFailed):  # the share has been moved, and this is no part of the order
        told = orders.ask("GET", f"{path}/outlook")
        if told["outlook"] and told["outlook"]["scarce"]:
            terminal.say(told, show.expected(told), as_json=False)
