"""The last good words on disk, for a process that starts while Unleash is away."""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import structlog

from flags.unleash.answer import Answer, decode_answer, encode_answer

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Backup:
    """One file, replaced as a whole: whoever reads it, and whoever dies writing it, leaves no half of it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, routes: Collection[str]) -> Answer | None:
        """What was kept, if anything; what cannot be read counts as nothing."""
        try:
            return decode_answer(self._path.read_text("utf-8"), routes)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            log.error("what Unleash last said cannot be read back", file=str(self._path), error=str(error))
            return None

    def save(self, answer: Answer) -> None:
        # A name of its own for each process: workers write the same file.
        written = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            with open(written, "w", encoding="utf-8", opener=_private) as file:
                file.write(encode_answer(answer))
            written.replace(self._path)
        except OSError as error:
            with suppress(OSError):
                written.unlink(missing_ok=True)
            log.error(
                "what Unleash says cannot be kept: no restart would know it", file=str(self._path), error=str(error)
            )


def _private(path: str, flags: int) -> int:
    """Rules may name users."""
    return os.open(path, flags, 0o600)
