"""That the event loop gets on, for those outside it: a round of it may be long though nothing stands still."""

from __future__ import annotations


class Progress:
    """`steps` is raised with each thing that is done, and read by the watchdog; a lost one matters to nobody."""

    __slots__ = ("steps",)

    def __init__(self) -> None:
        self.steps = 0


PROGRESS = Progress()  # the process has one event loop; to hand it to every connection would cost more than to count
