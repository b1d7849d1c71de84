"""The site's figures as tables for a terminal of 80 columns or more. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from demo.claims import Chapter
from demo.sight import NOBODY, Buckets, Route, Served, Sight, quantile

P95 = 0.95
SIDE_HEAD = "{}\nfail    p95"


def routes(recent: Sight) -> Table:
    """What each route did lately."""
    moved = [route for route in recent.routes.values() if route.share or route.shadow or route.trip]
    shadowed = any(route.shadow for route in moved)  # else it is no column: some terminals have 80
    heads = ("req/s", SIDE_HEAD.format("legacy"), SIDE_HEAD.format("native"), "mis-\nmatch")
    table = _table("route", "share", *(["shadow"] if shadowed else []), *heads)
    table.add_column("state", no_wrap=True)
    for route in moved:
        table.add_row(*_route(route, recent.seconds, shadowed))
    rest = [route for route in recent.routes.values() if route not in moved]
    if rest:
        table.add_row(*_rest(rest, "more" if moved else "routes", recent.seconds, shadowed))
    return table


def summary(chapters: Iterable[Chapter]) -> Table:
    """The story in one table: what was done, and what users saw of it."""
    table = _table("chapter", "failed\nreads", "failed\nwrites", "native\nanswered", "mis-\nmatch", "tripped\nafter")
    for chapter in chapters:
        seen, tripped = chapter.seen, chapter.tripped
        table.add_row(
            chapter.title,
            Text.assemble(_bad(seen.failed_reads), f" of {seen.reads}"),
            Text.assemble(_bad(seen.failed_writes), f" of {seen.writes}"),
            str(chapter.native_answers),
            str(chapter.mismatched),
            f"{tripped.after:.1f} s" if tripped else "",
        )
    return table


def latency(buckets: Buckets) -> str:
    """The p95."""
    seconds = quantile(P95, buckets)
    if seconds is None:
        return "·"
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def state(route: Route) -> Text:
    """Where the route stands, in a word."""
    if route.trip is not None:
        return Text("TRIPPED", style="bold red")
    if not route.share:
        return Text("legacy", style="dim")
    verdict = route.verdict or "not judged"
    return Text(verdict, style={"healthy": "green", "unhealthy": "bold red"}.get(verdict, "yellow"))


def _table(first: str, *heads: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    table.add_column(first, no_wrap=True)
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    return table


def _route(route: Route, seconds: float, shadowed: bool) -> Sequence[str | Text]:
    rate = (route.legacy.answered + route.native.answered) / seconds if seconds else 0.0
    return (
        route.name,
        f"{100 * route.share:g}%",
        *([f"{100 * route.shadow:g}%"] if shadowed else []),
        f"{rate:.1f}",
        _side(route.legacy),
        _side(route.native),
        _bad(route.mismatched),
        state(route),
    )


def _rest(routes: Sequence[Route], word: str, seconds: float, shadowed: bool) -> Sequence[str | Text]:
    """The routes that nobody has moved, in one row."""
    whole = sum((side for route in routes for side in (route.legacy, route.native)), NOBODY)
    moved = ["0%"] * (1 + shadowed)
    rate = f"{whole.answered / seconds if seconds else 0.0:.1f}"
    return (f"{len(routes)} {word}", *moved, rate, _side(whole), _side(NOBODY), _bad(0), Text("legacy", style="dim"))


def _side(served: Served) -> Text:
    if not served.answered:
        return Text("·", style="dim")
    return Text.assemble(_bad(served.failed), f"{latency(served.buckets):>7}")


def _bad(count: int) -> Text:
    return Text(str(count), style="bold red" if count else "")
