"""What the story claims, and whether it was so. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from demo.traffic import Seen

IN_FLIGHT = 1.0  # seconds that a request may take from the decision to native


@dataclass(frozen=True, slots=True)
class Tripped:
    """A route's automatic rollback, `after` seconds with its bug."""

    route: str
    after: float
    reason: str


@dataclass(frozen=True, slots=True)
class Chapter:
    """What happened in one part of the story. `bug` is the route that was broken in it."""

    title: str
    seen: Seen
    native_answers: int
    matched: int
    mismatched: int
    bug: str | None = None
    tripped: Tripped | None = None


@dataclass(frozen=True, slots=True)
class Messages:
    """The users' messages: what they were told against what is in the database."""

    acknowledged: int
    lost: int  # acknowledged and not there
    doubled: int  # there more than once
    kept_unanswered: int  # there, though the user was told of a failure

    @property
    def words(self) -> str:
        lost = f"{self.lost} of them are LOST" if self.lost else "none is lost"
        doubled = f"{self.doubled} are there TWICE" if self.doubled else "none is there twice"
        unheard = f"; {self.kept_unanswered} more are there that were not" if self.kept_unanswered else ""
        return f"{self.acknowledged} messages were acknowledged: {lost}, {doubled}{unheard}."


def audit(sent: Mapping[str, bool], kept: Mapping[str, int]) -> Messages:
    """`sent`: each message, and whether its sender was told that it arrived. `kept`: how often each is there."""
    acknowledged = [content for content, told in sent.items() if told]
    return Messages(
        acknowledged=len(acknowledged),
        lost=sum(content not in kept for content in acknowledged),
        doubled=sum(kept.get(content, 0) > 1 for content in sent),
        kept_unanswered=sum(content in kept for content, told in sent.items() if not told),
    )


def untrue(chapters: Sequence[Chapter], messages: Messages, late: float, refused: Collection[str]) -> Iterator[str]:
    """Everything the story claims that was not so. `late`: how long after the last rollback native was still asked."""
    yield from (f"a command was refused: {command}" for command in refused)
    for chapter in chapters:
        yield from _untrue(chapter)
    if not any(chapter.matched for chapter in chapters):
        yield "no answer of native was compared and found equal"
    if not any(chapter.native_answers for chapter in chapters):
        yield "native answered nobody"
    if not messages.acknowledged:
        yield "no message was written"
    if messages.lost:
        yield f"{messages.lost} messages that were acknowledged are not in the database"
    if messages.doubled:
        yield f"{messages.doubled} messages are in the database twice"
    if late > IN_FLIGHT:
        yield f"native was still asked {late:.1f} s after everything was rolled back"


def _untrue(chapter: Chapter) -> Iterator[str]:
    seen, where = chapter.seen, f"in “{chapter.title}”"
    if not seen.reads or not seen.writes:
        yield f"users did not both read and write {where}"
    if seen.failed_reads:
        yield f"users saw {seen.failed_reads} reads fail {where} ({_statuses(seen)})"
    if seen.failed_writes and chapter.bug != "messages.create":
        yield f"users saw {seen.failed_writes} writes fail {where} ({_statuses(seen)})"
    if chapter.mismatched and chapter.bug is None:
        yield f"{chapter.mismatched} answers of the sides differed {where}, without a bug"
    if chapter.bug and chapter.tripped is None:
        yield f"{chapter.bug} was broken and was not rolled back {where}"


def _statuses(seen: Seen) -> str:
    counted = Counter(f"{failure.method} {failure.path}: {failure.status or 'no answer'}" for failure in seen.failures)
    return ", ".join(f"{number} × {what}" for what, number in counted.most_common(3))
