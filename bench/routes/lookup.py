"""The look-up alone, in this process: what `RouteTable.match` takes for a path of each route, and for none."""

from __future__ import annotations

import timeit
from collections.abc import Callable, Sequence

from bench.patterns import routes
from proxy.routes import Route, RouteTable

REPEAT, SECONDS = 5, 0.2  # the fastest of so many measurements of about so long: whatever disturbs only adds
STRANGERS = (("GET", b"/"), ("GET", b"/assets/application-8d4cd8.js"), ("POST", b"/api/v9/conversations/4711/messages"))

Asked = Sequence[tuple[str, bytes]]


def requests(count: int) -> list[tuple[str, bytes]]:
    """A method and a path for each of the first `count` routes."""
    words = (route["match"].replace("{id}", "4711").replace("{message_id}", "815").split() for route in routes(count))
    return [(method, path.encode()) for method, path in words]


def lookup(count: int) -> dict[str, float]:
    """Microseconds for one look-up among `count` routes: on average over all of them, and for paths of none."""
    table = RouteTable([Route.parse(route["name"], route["match"]) for route in routes(count)])
    asked = requests(count)
    if any(table.match(*each) is None for each in asked) or any(table.match(*each) for each in STRANGERS):
        raise ValueError("the requests are not those of the routes")
    return {"matched_us": _each(table.match, asked), "unmatched_us": _each(table.match, STRANGERS)}


def _each(match: Callable[[str, bytes], object], asked: Asked) -> float:
    def once() -> None:
        for method, path in asked:
            match(method, path)

    timer = timeit.Timer(once)
    number = max(1, int(SECONDS / timer.timeit(1)))
    return round(min(timer.repeat(REPEAT, number)) / number / len(asked) * 1e6, 3)
