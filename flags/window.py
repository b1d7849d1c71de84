"""What each side was asked and answered, by the second of the decision. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Container

from flags.complaint import complaint
from flags.counts import NOBODY, NONE, Cell, Cells, Counts, Key, Outcome, Second, Seconds
from flags.flag import Side

__all__ = ["NOBODY", "NONE", "Cell", "Cells", "Counts", "Key", "Outcome", "Second", "Seconds", "Tally", "Window"]


class _Entry:
    """One cell as it is being counted."""

    __slots__ = (
        "asked", "complaints", "excluded", "failed", "key", "moved", "ok", "pairs", "resting", "second", "subjects",
    )  # fmt: skip

    def __init__(self, second: int, key: Key) -> None:
        self.second, self.key = second, key
        self.asked = self.ok = self.failed = self.excluded = self.subjects = self.resting = self.pairs = 0
        self.complaints: set[int] | None = None  # made when needed: there may be a thousand entries a second
        self.moved = False

    @property
    def counts(self) -> Counts:
        complaints = frozenset(self.complaints) if self.complaints else NOBODY
        return Counts(
            self.asked, self.ok, self.failed, self.excluded, self.subjects, complaints, self.resting, self.pairs
        )

    def complain(self, of: int) -> None:
        if self.complaints is None:
            self.complaints = set()
        self.complaints.add(of)


_NEVER = _Entry(-1, ("", Side.LEGACY))


class Tally:
    """One side of one route. Two calls for every request: the second that is now is looked for nowhere.

    `spent`: the subjects that were failed before and count no more, as long as this is judged by subjects.
    """

    __slots__ = ("_begun", "_key", "_latest", "_moved", "_subjects", "entries", "spent")

    def __init__(self, key: Key, moved: list[_Entry], begun: dict[int, list[Tally]]) -> None:
        self._key, self._moved, self._begun = key, moved, begun
        self._subjects = set[int]()  # of the latest second
        self.spent: Container[int] = NOBODY
        self.entries: dict[int, _Entry] = {}
        self._latest = _NEVER

    def asked(self, second: int, subject: int | None = None) -> None:
        """A request decided in `second` goes to this side; `subject` is the mark of whose it is, if that matters."""
        entry = self._latest
        if entry.second != second:
            entry = self._at(second)
        entry.asked += 1
        if subject is not None and subject not in self._subjects and subject not in self.spent:
            self._subjects.add(subject)
            entry.subjects += 1
        if not entry.moved:
            entry.moved = True
            self._moved.append(entry)

    def closed(self, second: int, outcome: Outcome, subject: int | None = None) -> None:
        """A request decided in `second` has ended; one whose second is forgotten no longer matters."""
        entry = self._latest
        if entry.second != second:
            earlier = self.entries.get(second)
            if earlier is None:
                return
            entry = earlier
        if outcome is Outcome.OK:
            entry.ok += 1
        elif outcome is Outcome.FAILED:
            entry.failed += 1
            if subject is not None:
                entry.complain(subject)
        else:
            entry.excluded += 1
            if entry.subjects and subject is not None and subject not in self.spent:
                entry.subjects -= 1
        if not entry.moved:
            entry.moved = True
            self._moved.append(entry)

    def rests(self, second: int, by: int) -> None:
        """So many more of the open requests decided in `second` rest, or fewer."""
        entry = self.entries.get(second)
        if entry is not None:
            entry.resting += by
            self._move(entry)

    def paired(self, second: int, by: int) -> None:
        """So many more pairs of what was decided in `second` are under way, or fewer, if it is not forgotten by now."""
        entry = self.entries.get(second)
        if entry is None and by > 0:
            entry = self._new(second)
        if entry is not None:
            entry.pairs += by
            self._move(entry)

    def complained(self, second: int, kind: int, subject: int) -> None:
        """What was decided in `second` was answered, but late, or with a refusal; or whatever else there is of it."""
        entry = self.entries.get(second)
        if entry is not None and subject not in self.spent:
            entry.complain(complaint(kind, subject))
            self._move(entry)

    def forget(self, second: int) -> None:
        forgotten = self.entries.pop(second)
        if self._latest is forgotten:
            self._latest = _NEVER

    def _at(self, second: int) -> _Entry:
        entry = self.entries.get(second)
        if entry is None:
            entry = self._new(second)
        self._latest = entry
        self._subjects.clear()
        return entry

    def _new(self, second: int) -> _Entry:
        entry = self.entries[second] = _Entry(second, self._key)
        self._begun.setdefault(second, []).append(self)
        return entry

    def _move(self, entry: _Entry) -> None:
        if not entry.moved:
            entry.moved = True
            self._moved.append(entry)


class Window:
    """This worker's own counts, and which of them moved since they were last taken."""

    def __init__(self) -> None:
        self._tallies: dict[Key, Tally] = {}
        self._moved: list[_Entry] = []
        self._begun: dict[int, list[Tally]] = {}  # who has an entry for a second: only those have to forget it

    def tally(self, route: str, side: Side) -> Tally:
        """Where to count, for whoever does it often."""
        key = route, side
        tally = self._tallies.get(key)
        if tally is None:
            tally = self._tallies[key] = Tally(key, self._moved, self._begun)
        return tally

    def asked(self, second: int, route: str, side: Side, subject: int | None = None) -> None:
        self.tally(route, side).asked(second, subject)

    def closed(self, second: int, route: str, side: Side, outcome: Outcome, subject: int | None = None) -> None:
        self.tally(route, side).closed(second, outcome, subject)

    def cells(self) -> Cells:
        """All that is remembered."""
        entries = [entry for tally in self._tallies.values() for entry in tally.entries.values()]
        return {(entry.second, *entry.key): entry.counts for entry in entries}

    def take(self, routes: Container[str], limit: int) -> Cells | None:
        """Of up to `limit` cells that moved those of `routes`, each as its full count so far; None when none is left.

        Full counts and not differences: then saying it twice counts once, and after a delivery whose fate is
        unknown it is simply said again. What moved of other routes is passed over: nobody judges them.
        """
        if not self._moved:
            return None
        taken, self._moved[-limit:] = self._moved[-limit:], []
        for entry in taken:
            entry.moved = False
        return {(entry.second, *entry.key): entry.counts for entry in taken if entry.key[0] in routes}

    def forget(self, before: int) -> None:
        """Drop the seconds before `before`."""
        for second in [second for second in self._begun if second < before]:
            for tally in self._begun.pop(second):
                tally.forget(second)
        if any(entry.second < before for entry in self._moved):
            self._moved[:] = [entry for entry in self._moved if entry.second >= before]
