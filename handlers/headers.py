"""Request headers as Rails reads them. No I/O."""

from __future__ import annotations

from starlette.types import Scope

CONTENT_TYPE = b"content-type"  # which CGI names like no other header


def header(scope: Scope, name: bytes) -> bytes | None:
    """The value of a header, named in lower case; None without one. Repeated headers are one list."""
    values = [value for key, value in scope["headers"] if key == name]
    if not values and name != CONTENT_TYPE:
        # Where none is spelled with hyphens underscores do as well, as puma has it.
        values = [value for key, value in scope["headers"] if b"_" in key and key.replace(b"_", b"-") == name]
    # Not every server strips the white space after a value.
    return b", ".join([value.rstrip(b" \t") for value in values]) if values else None
