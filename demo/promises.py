"""What users were told, and what every answer to a question asked after that must show. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

MARK = "#"  # how the content of every message begins that is sent here: none of the seeds' does
T = TypeVar("T")
Shown = Mapping[str, Any]  # a row, as an answer shows it


@dataclass(slots=True)
class Create:
    """A message that somebody began to send. `failures`: what he met each time before he had an answer, whose `id` it
    is."""

    key: str
    content: str
    conversation: int
    sender: int
    failures: list[str] = field(default_factory=list)
    id: int | None = None


class Changing(Generic[T]):
    """What one user changes, each time to something else and never twice at once, and many read."""

    def __init__(self, first: T) -> None:
        self._values, self.known = [first], 0

    def begin(self, value: T) -> None:
        self._values.append(value)

    def end(self) -> None:
        """The change was answered: what was there before it may be shown to nobody who asks from now on."""
        self.known = len(self._values) - 1

    def faults(self, known: int, shown: T) -> Iterator[str]:
        """What is wrong with an answer now to who asked when the change `known` was the last one answered."""
        if shown not in self._values[known:]:
            yield f"{shown!r}, where {self._values[known:]!r} was due"


class Room:
    """A conversation that many write in. `known`: how many creates were answered so far."""

    def __init__(self, id: int, messages: int) -> None:
        self.id, self._before = id, messages
        self._begun: dict[str, Create] = {}
        self._answered: list[Create] = []

    @property
    def known(self) -> int:
        return len(self._answered)

    def begin(self, create: Create) -> None:
        self._begun[create.content] = create

    def end(self, create: Create) -> None:
        self._answered.append(create)

    def faults_of_conversation(self, known: int, shown: Shown) -> Iterator[str]:
        """The same for the conversation as it is shown to who asked when `known` creates were answered."""
        if shown["id"] != self.id:
            yield f"conversation {shown['id']} instead of {self.id}"
        least, most = self._before + known, self._before + len(self._begun)
        if not least <= shown["messageCount"] <= most:
            yield f"{shown['messageCount']} messages in {self.id}, where {least} to {most} were due"
        last = shown["lastMessage"]["id"] if shown["lastMessage"] else 0
        missed = [create.id for create in self._answered[:known] if (create.id or 0) > last]
        if missed:
            yield f"the last message of {self.id} is {last}, though {missed} were answered before"

    def faults_of_page(self, known: int, shown: Sequence[Shown], *, whole: bool) -> Iterator[str]:
        """The same for its newest messages, or for all of them (`whole`)."""
        ids = [message["id"] for message in shown]
        if ids != sorted(set(ids), reverse=True):
            yield f"the messages {ids} of {self.id} are out of order"
        for message in shown:
            yield from self.faults_of_message(message)
        oldest = 0 if whole else min(ids, default=0)
        contents = {message["id"]: message["content"] for message in shown}
        due = {create.id: create.content for create in self._answered[:known] if (create.id or 0) > oldest}
        missed = [id for id, content in due.items() if contents.get(id) != content]
        if missed:
            yield f"a page of {self.id} misses {missed}, which were answered before"

    def faults_of_message(self, shown: Shown) -> Iterator[str]:
        if shown["conversationId"] != self.id:
            yield f"message {shown['id']} of {shown['conversationId']} in {self.id}"
        if not shown["content"].startswith(MARK):
            return
        create = self._begun.get(shown["content"])
        if create is None:
            yield f"{dict(shown)}, which nobody has sent"
        elif (create.sender, create.id or shown["id"]) != (shown["sender"]["id"], shown["id"]):
            yield f"{dict(shown)}, where {create} was due"
