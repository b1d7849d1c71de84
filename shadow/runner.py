"""Between the request path and the candidate: a bounded queue, and few workers that carry experiments out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from .apart import Undone
from .experiment import Dropped, Experiment, Experimenter, Limits

log = structlog.get_logger()


class Runner:
    """Asks candidates the questions that users asked, off the request path, within `Limits`.

    Reasons for a drop: `queue_full` (the oldest goes), `too_large`, `encoding` (the control's body cannot be read),
    `no_side`, `abandoned` (too many calls that ignored their cancellation are still about), `stopped`, `fault` (ours,
    and logged) and `comparison` (it took too long, or its process is gone).
    """

    def __init__(self, experimenter: Experimenter, limits: Limits, on_drop: Callable[[str, str], None]) -> None:
        self._experimenter, self._limits, self._on_drop = experimenter, limits, on_drop
        self._queue: asyncio.Queue[tuple[Experiment, int] | None] = asyncio.Queue()
        self._queued_bytes = 0
        self._workers: list[asyncio.Task[None]] = []
        self._stopping = False

    @property
    def pending(self) -> int:
        """Experiments waiting for a worker."""
        return self._queue.qsize()

    @property
    def strays(self) -> int:
        """Calls that ignored their cancellation and are still about."""
        return self._experimenter.strays

    def offer(self, experiment: Experiment) -> None:
        """Take the experiment if there is room, at the cost of the oldest one waiting. Never waits, never raises."""
        limits, size = self._limits, experiment.size
        if self._stopping:
            self._drop(experiment, "stopped")
        elif not {experiment.control_side, experiment.candidate_side} <= self._experimenter.sides.keys():
            self._drop(experiment, "no_side")
        elif len(experiment.body) > limits.body or size > limits.queue_bytes:
            self._drop(experiment, "too_large")
        else:
            self._queue.put_nowait((experiment, size))
            self._queued_bytes += size
            while self._queue.qsize() > limits.queue or self._queued_bytes > limits.queue_bytes:
                self._drop_oldest("queue_full")

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._workers = [loop.create_task(self._work()) for _ in range(self._limits.concurrency)]

    async def stop(self, grace: float) -> None:
        """Take nothing more, drop what waits, give what is under way `grace` seconds, and end."""
        self._stopping = True
        while not self._queue.empty():
            self._drop_oldest("stopped")
        workers, self._workers = self._workers, []
        for _ in workers:
            self._queue.put_nowait(None)
        if workers:
            await asyncio.wait(workers, timeout=grace)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        while not self._queue.empty():
            self._queue.get_nowait()  # the words to end that cancelled workers did not take
        await self._experimenter.close()

    def _drop_oldest(self, reason: str) -> None:
        oldest = self._queue.get_nowait()
        if oldest is not None:
            experiment, size = oldest
            self._queued_bytes -= size
            self._drop(experiment, reason)

    def _drop(self, experiment: Experiment, reason: str) -> None:
        self._on_drop(experiment.route, reason)

    async def _work(self) -> None:
        while (waiting := await self._queue.get()) is not None:
            experiment, size = waiting
            self._queued_bytes -= size
            try:
                await self._experimenter.run(experiment)
            except asyncio.CancelledError:
                self._drop(experiment, "stopped")
                raise
            except Dropped as dropped:
                self._drop(experiment, dropped.reason)
            except Undone as fault:
                log.warning("two answers could not be compared", route=experiment.route, error=str(fault))
                self._drop(experiment, "comparison")
            except Exception:
                log.exception("a shadow experiment failed in the comparison itself", route=experiment.route)
                self._drop(experiment, "fault")
