"""Request headers as Rails reads them. No I/O."""

from __future__ import annotations

from starlette.types import Scope


def header(scope: Scope, name: bytes) -> bytes | None:
    """The value of a header, named in lower case; None without one. Repeated headers are one list, and underscores are
    hyphens, as puma has it."""
    values = [value for key, value in scope["headers"] if key == name or (b"_" in key and _hyphened(key) == name)]
    return b", ".join(values) if values else None


def _hyphened(key: bytes) -> bytes:
    return key.replace(b"_", b"-")
