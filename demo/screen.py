"""What the demo shows: the story as it is told, above a table that moves; without a terminal, plain lines alone."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.rule import Rule
from rich.text import Text

from demo import table
from demo.claims import Chapter, Messages
from demo.log import Seen
from demo.sight import Sight

PLAIN_WIDTH = 100


class Screen:
    """`sight` and `seen` give what the moving table shows; `refresh` shows it anew."""

    def __init__(self, console: Console, sight: Callable[[], Sight], seen: Callable[[], Seen]) -> None:
        self._console, self._sight, self._seen = console, sight, seen
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()

    def refresh(self) -> None:
        if self._live is not None:
            foot = Text(f"{_so_far(self._seen())} · Ctrl-C stops everything", style="dim")
            head = Rule("the last 10 seconds", style="dim")
            self._live.update(Group(Text(), head, self._routes(), foot), refresh=True)

    def title(self, words: str) -> None:
        self._console.print()
        self._console.print(Text(words, style="bold"))

    def say(self, words: str) -> None:
        self._print(Text(words))

    def typed(self, command: str) -> None:
        self._print(Text.assemble(("$ ", "dim"), (command, "cyan")))

    def printed(self, words: str, lines: int = 1) -> None:
        """What a command printed, or as much of it as tells the story."""
        printed = words.splitlines()
        more = len(printed) - lines
        shown = printed[:lines] + ([f"… and {more} more lines"] if more > 0 else [])
        self._print(Text("\n".join(shown), style="dim"), left=4)

    def result(self, words: str, good: bool = True) -> None:
        self._print(Text.assemble(("→ ", "bold green" if good else "bold red"), words))

    def ended(self, chapter: Chapter) -> None:
        """What came of the chapter."""
        self.routes()
        self.result(_users(chapter.seen), good=not chapter.seen.failures or chapter.deaths > 0)
        if chapter.matched or chapter.mismatched:
            words = f"Compared in the shadow: {chapter.matched} answers matched, {chapter.mismatched} did not."
            self.result(words, good=not chapter.mismatched)

    def routes(self) -> None:
        """The table as it is now, for those who do not see it move."""
        if self._live is None:
            self._console.print()
            self._console.print(self._routes())
            self._console.print()

    def conclude(
        self, chapters: Sequence[Chapter], answers: str, messages: Messages, untrue: Sequence[str], moral: str
    ) -> None:
        self.title("What happened")
        self._console.print(table.summary(chapters))
        self._console.print()
        self.say(answers)
        self.say(messages.words)
        for claim in untrue:
            self.result(f"Not as it should be: {claim}", good=False)
        if not untrue:
            self.say(moral)

    def _routes(self) -> RenderableType:
        return table.routes(self._sight())

    def _print(self, words: Text, left: int = 2) -> None:
        for line in words.wrap(self._console, self._console.width - left):
            line.rstrip()
            self._console.print(Text.assemble(" " * left, line))


def _users(seen: Seen) -> str:
    reads = f"{seen.failed_reads} of {seen.reads} reads"
    writes = f"{seen.failed_writes} of {seen.writes} writes"
    met = f"; {seen.users_hurt} user{'s' * (seen.users_hurt > 1)} met it" if seen.failures else ""
    return f"Users saw {reads} and {writes} fail{met}."


def _so_far(seen: Seen) -> str:
    return f"users so far: {seen.reads + seen.writes} requests, {len(seen.failures)} failed"


def console() -> Console:
    """As wide as the terminal; without one, as wide as a log is read."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH)
