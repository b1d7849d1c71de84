"""How long a side may take, and how many connections it is asked on.  No I/O."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, or counts: `connections`, `queue`, `pieces`. `first_byte` runs from the last byte of the question."""

    first_byte: float = 30.0
    between_bytes: float = 60.0  # of an answer that has begun
    total: float | None = None  # of the whole exchange
    connections: int = 256
    queue: int = 256
    wait: float = 1.0
    stall: float = 30.0  # between two pieces of a user's upload
    idle: float = 15.0  # puma closes after 20 s: whoever lets go first never meets a closed door
    pieces: int | None = None  # that an answer may come in; each takes its time here, however small
    age: float = 60.0  # an older connection is not kept, so that a change of DNS is noticed under constant load, too
