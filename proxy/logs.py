"""Structured logs: one JSON object a line, on standard output."""

from __future__ import annotations

import contextvars
import json
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring_ascii as _text
from typing import TextIO, cast

import structlog
from structlog.tracebacks import ExceptionDictTransformer

from flags.decide import Decision
from flags.flag import Flag, Side
from proxy.exchange import Exchange
from proxy.hops import Arrived
from proxy.output import Output

# A traceback's local variables are people's requests: tokens and texts that no log may keep.
WITHOUT_VALUES = ExceptionDictTransformer(show_locals=False)

OUTPUT = Output()  # the process has one standard output
STANDARD_ERROR = 2
PATIENCE = 1.0  # seconds that the log has to take what must be said in any case
log = structlog.get_logger()


def configure() -> None:
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(WITHOUT_VALUES),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", OUTPUT)),  # of a file it uses `write` and `flush`
        cache_logger_on_first_use=True,
    )
    # Every failure that uvicorn would log here is recorded by Access, with its request.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)


class AccessLog:
    """One record of every request, as structlog would write it, at a tenth of the cost.

    What is bound for all records, such as the worker's number, is taken over when this is made.
    """

    def __init__(self, write: Callable[[str], None] = OUTPUT.write, now: Callable[[], float] = time.time) -> None:
        self._write, self._now = write, now
        bound = structlog.contextvars.get_contextvars()
        self._start = "{" + "".join(f"{_text(name)}: {json.dumps(value)}, " for name, value in bound.items())

    def record(self, request_id: str, client: str, method: str, target: bytes, exchange: Exchange) -> None:
        """`target` is what was asked for, as it was sent; its query is not recorded, for it may hold secrets."""
        decision, failure = exchange.decision, exchange.failure
        second, microseconds = divmod(int(self._now() * 1e6), 1_000_000)
        self._write(
            f'{self._start}"request_id": {_text(request_id)}, "client": {_known(client)}, "method": {_known(method)}, '
            f'"path": {_text(target.partition(b"?")[0].decode("latin-1"))}, "status": {exchange.status}, '
            f'"route": {_known(exchange.route)}, "side": {_SIDES[decision.primary]}, '
            f'"reason": {_known(decision.reason.value)}, {_forced_by(decision)}'
            f'"asked_last": {_SIDES[exchange.asked_last]}, '
            f'"failure": {_known(failure) if failure is not None else "null"}, '
            f'"withheld": {_known(exchange.withheld) if exchange.withheld is not None else "null"}, '
            f'"left": {"true" if exchange.left else "false"}, "ms": {exchange.elapsed * 1000:.1f}, '
            f'"event": "request", "level": "info", "timestamp": "{_date(second)}.{microseconds:06d}Z"}}\n'
        )

    def record_arrived(self, arrived: Arrived, elapsed: float) -> None:
        """A request that no side was asked, for it was to go no further."""
        second, microseconds = divmod(int(self._now() * 1e6), 1_000_000)
        record = {
            "request_id": arrived.request_id,
            "client": arrived.client,
            "method": arrived.method,
            "path": arrived.target.partition(b"?")[0].decode("latin-1"),
            "status": arrived.status,
            **dict.fromkeys(("route", "side")),
            "reason": "max_forwards",
            **dict.fromkeys(("asked_last", "failure", "withheld")),
            "left": False,
            "ms": round(elapsed * 1000, 1),
            "event": "request",
            "level": "info",
            "timestamp": f"{_date(second)}.{microseconds:06d}Z",
        }
        self._write(f"{self._start}{json.dumps(record)[1:]}\n")

    def record_in_any_case(self, request_id: str, client: str, method: str, target: bytes, exchange: Exchange) -> None:
        """Only what a side has failed, and what somebody demanded a side for."""
        if exchange.failure is not None or exchange.decision.forced_by is not None:
            self.record(request_id, client, method, target, exchange)


def _forced_by(decision: Decision) -> str:
    return f'"forced_by": {_known(decision.forced_by)}, ' if decision.forced_by is not None else ""


_known = lru_cache(maxsize=4096)(_text)  # few of these differ
_SIDES = {side: _text(side.value) for side in Side}


@lru_cache(maxsize=2)
def _date(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def log_change(route: str, before: Flag, after: Flag) -> None:
    """A flag of this worker is another now."""
    if replace(after, generation=before.generation) == before:
        return  # only its number is another, as when the store has heard of our trip
    log.info(
        "flag changed",
        route=route,
        share=after.native,
        shadow=after.shadow,
        tripped=after.tripped,
        was_share=before.native,
        was_tripped=before.tripped,
    )


def log_in_any_case(words: str, patience: float = PATIENCE, **said: object) -> None:
    """An error that comes out even if who holds one of the log's locks stands still: on standard error then."""

    def record() -> None:
        log.error(words, **said)
        OUTPUT.flush()

    recording = threading.Thread(target=contextvars.copy_context().run, args=(record,), name="log", daemon=True)
    recording.start()
    recording.join(patience)
    if recording.is_alive():
        os.write(STANDARD_ERROR, json.dumps({**said, "event": words, "level": "error"}).encode() + b"\n")
