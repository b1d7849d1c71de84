"""Whether an exchange can be asked again of the other side and compared. No I/O."""

from __future__ import annotations

from .encodings import content_encodings, readable
from .normalize import media_type
from .observation import Observation

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})  # RFC 9110, 9.2.1; TRACE is answered by servers, not by applications
STREAMS = frozenset({"text/event-stream", "multipart/x-mixed-replace"})  # they end when somebody leaves


def why_not(method: str, control: Observation) -> str | None:
    """None if the exchange is eligible, else the reason, in a word that serves as a metric's label."""
    if method not in SAFE:
        return "unsafe_method"
    if media_type(control) in STREAMS:
        return "streaming"
    if control.truncated:
        return "too_large"
    if not control.complete:
        return "incomplete"
    if not readable(content_encodings(control)):
        return "encoding"
    return None
