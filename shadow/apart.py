"""A process of our own for work that would hold the event loop, one piece at a time. A thread would hold it, too."""

from __future__ import annotations

import asyncio
import io
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

from .observation import Observation
from .process import LENGTH

P = ParamSpec("P")
T = TypeVar("T")

HOME: Final = Path(__file__).resolve().parents[1]  # where the new interpreter finds this program
CHUNK: Final = 128 * 1024  # bytes written at once: a large body takes a while to be handed over


class Undone(Exception):
    """The work was not done: it took too long, or the process could not be had or has died of it."""


class Apart:
    """Starts the process when there is something for it to do, and another one if it is lost.

    `patience`: seconds that one piece of work may take; then the process is killed, and the work is not done.
    """

    def __init__(self, patience: float, home: Path = HOME) -> None:
        self._patience, self._home, self._turn = patience, home, asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None

    async def run(self, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """What a function of a module returns there. Raises Undone."""
        assert not named, "questions have no names for what they ask"
        question = _parts((function, arguments))
        async with self._turn:
            try:
                async with asyncio.timeout(self._patience):
                    done, told = await self._asked(question)
            except (OSError, EOFError, TimeoutError) as error:
                await self.close()
                raise Undone(f"{function.__name__}: {error!r}") from error
            except asyncio.CancelledError:
                await self.close()  # its answer would be taken for the next one's
                raise
        if not done:
            raise Undone(f"{function.__name__}: {told}")
        return told  # type: ignore[no-any-return]  # a pipe has no types

    async def close(self) -> None:
        """End the process; what it is doing is lost."""
        process, self._process = self._process, None
        if process is not None:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def _asked(self, question: list[memoryview]) -> tuple[bool, Any]:
        process = self._process = self._process or await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "shadow.process",
            cwd=self._home,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(LENGTH.pack(len(question)))
        for part in question:
            process.stdin.write(LENGTH.pack(len(part)))
            for at in range(0, len(part), CHUNK):
                process.stdin.write(part[at : at + CHUNK])
                await process.stdin.drain()
                await asyncio.sleep(0)  # a process that reads as fast as this writes is never waited for
        (length,) = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))
        told = await process.stdout.readexactly(length)
        return pickle.loads(told)  # type: ignore[no-any-return]  # noqa: S301  # both ends are this program


class _Pickler(pickle.Pickler):
    """Leaves the bodies of answers out: copying a megabyte takes a millisecond that requests could use."""

    def reducer_override(self, obj: Any) -> Any:
        if type(obj) is not Observation:
            return NotImplemented
        body = pickle.PickleBuffer(obj.body)
        return Observation, (obj.status, obj.headers, body, obj.complete, obj.elapsed, obj.error, obj.truncated)


def _parts(question: object) -> list[memoryview]:
    bodies: list[pickle.PickleBuffer] = []
    written = io.BytesIO()
    _Pickler(written, pickle.HIGHEST_PROTOCOL, buffer_callback=bodies.append).dump(question)
    return [written.getbuffer(), *(body.raw() for body in bodies)]
