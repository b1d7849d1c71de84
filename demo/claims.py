"""What the story claims, and whether it was so. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from demo.log import Seen
from demo.promises import Create

IN_FLIGHT = 1.0  # seconds that a request may take from the decision to native
SHOWN = 3  # of many of a kind
FAULT_OF_OURS = "internal_server_error"  # what users are told of a bug, and of no death


@dataclass(frozen=True, slots=True)
class Tripped:
    """A route's automatic rollback, `after` seconds with its bug."""

    route: str
    after: float
    reason: str


@dataclass(frozen=True, slots=True)
class Chapter:
    """What happened in one part of the story. `bug` is the route that was broken in it, `deaths` are those of sides."""

    title: str
    seen: Seen
    native_answers: int
    matched: int
    mismatched: int
    bug: str | None = None
    tripped: Tripped | None = None
    deaths: int = 0


@dataclass(frozen=True, slots=True)
class Messages:
    """Everybody's messages: what their senders were told against what is in the database."""

    acknowledged: int
    repeated: int  # of them were sent again until that, under the same key
    lost: int  # acknowledged and not there, or not as it was answered
    doubled: int  # there more than once

    @property
    def words(self) -> str:
        repeated = f", {self.repeated} of them when they were sent again" if self.repeated else ""
        lost = f"{self.lost} of them are LOST" if self.lost else "none is lost"
        doubled = f"{self.doubled} are there TWICE" if self.doubled else "none is there twice"
        return f"{self.acknowledged} messages were acknowledged{repeated}: {lost}, {doubled}."


def audit(creates: Sequence[Create], delivered: Collection[str], kept: Mapping[str, Sequence[int]]) -> Messages:
    """What users created and what Facebook delivered, against the ids under which each content is kept."""
    acknowledged = [create for create in creates if create.id is not None]
    return Messages(
        acknowledged=len(acknowledged) + len(delivered),
        repeated=sum(bool(create.failures) for create in acknowledged),
        lost=sum(create.id not in kept.get(create.content, ()) for create in acknowledged)
        + sum(content not in kept for content in delivered),
        doubled=sum(len(ids) > 1 for ids in kept.values()),
    )


def checked(answers: int, wrong: int) -> str:
    """In words, how many answers were right."""
    told = f"{wrong} were WRONG" if wrong else "none was wrong"
    return f"{answers} answers were checked against what their users had been told before: {told}."


def untrue(
    chapters: Sequence[Chapter], messages: Messages, wrong: Sequence[str], late: float, refused: Collection[str]
) -> Iterator[str]:
    """Everything the story claims that was not so. `wrong`: answers that contradict what somebody had been told before.
    `late`: how long after the last rollback native was still asked."""
    yield from (f"a command was refused: {command}" for command in refused)
    yield from (f"an answer was wrong: {answer}" for answer in wrong[:SHOWN])
    if len(wrong) > SHOWN:
        yield f"{len(wrong) - SHOWN} more answers were wrong"
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
    if seen.failed_reads and not chapter.deaths:
        yield f"users saw {seen.failed_reads} reads fail {where} ({_told(seen)})"
    if seen.failed_writes and not chapter.deaths and chapter.bug != "messages.create":
        yield f"users saw {seen.failed_writes} writes fail {where} ({_told(seen)})"
    if chapter.deaths and any(failure.told == FAULT_OF_OURS for failure in seen.failures):
        yield f"a death looked to users like a bug {where} ({_told(seen)})"
    if chapter.mismatched and chapter.bug is None and not chapter.deaths:  # the dead answer like nobody
        yield f"{chapter.mismatched} answers of the sides differed {where}, without a bug"
    if chapter.bug and chapter.tripped is None:
        yield f"{chapter.bug} was broken and was not rolled back {where}"


def _told(seen: Seen) -> str:
    counted = Counter(f"{failure.what}: {failure.told}" for failure in seen.failures)
    return ", ".join(f"{number} × {what}" for what, number in counted.most_common(SHOWN))
