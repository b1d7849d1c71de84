"""`strangler replay`: what it takes, how it is stopped, and what it says."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO, cast

import structlog

from proxy import arguments, terminal, units
from proxy.arguments import BadUsage
from proxy.config import Config, load
from proxy.contradictions import Values
from proxy.faults import Fault
from proxy.headers import HOP_BY_HOP, Header
from proxy.orders import OrderFailed
from proxy.replay import report
from proxy.replay.forms import Form, Unreadable
from proxy.replay.pace import Pace, per_second
from proxy.replay.question import is_header

if TYPE_CHECKING:
    from proxy.replay.asking import Asking
    from proxy.replay.session import Found
    from proxy.replay.source import Source

USAGE: Final = "usage: strangler replay FILE [options]\n"
RATE, CONCURRENCY, MOST = "20/s", 4, 256
DRAWN_EVERY: Final = 0.25  # seconds
LINES: Final = 20  # of the log of what runs in this process, native perhaps: what follows them is the same again
EXIT_CODES: Final = (
    "Exit codes: 0 done, 1 refused or failed, 2 bad usage or configuration. Done is a replay that reached its end and "
    "in which no more speaks against native than --fail-over allows; a file that cannot be read is bad usage."
)
_FRAMING: Final = frozenset({b"host", b"content-length"})


def add(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXIT_CODES
    parser.add_argument(
        "file", metavar="FILE", help="a HAR, an access log or lines of JSON, gzipped or not; - for standard input"
    )
    forms = [form.value for form in Form]
    parser.add_argument("--format", choices=forms, help="what FILE is, where that cannot be told from how it begins")
    parser.add_argument(
        "--route", action="append", default=[], metavar="NAME", help="only this route's; may be repeated"
    )
    about = f"requests to each side, those that confirm a mismatch included ({RATE})"
    parser.add_argument("--rate", metavar="N/s", type=_rate, default=per_second(RATE), help=about)
    about = f"requests that are compared at a time ({CONCURRENCY})"
    parser.add_argument("--concurrency", metavar="N", type=_concurrency, default=CONCURRENCY, help=about)
    parser.add_argument("--limit", metavar="N", type=arguments.count, help="requests that are asked at most")
    about = "the host that users ask, for both sides; of a HAR only what went there. Without it legacy's address"
    parser.add_argument("--host", metavar="NAME", type=_host, help=about)
    about = "sent with every request in place of FILE's; @NAME: those in a file, one on a line. May be repeated"
    parser.add_argument("--header", metavar="'NAME: VALUE'", action="extend", default=[], type=_headers, help=about)
    about = "send what FILE has of cookies, tokens and other headers, too: they are people's"
    parser.add_argument("--send-credentials", action="store_true", help=about)
    about = "how much of what is compared may speak against native (0%%)"
    parser.add_argument("--fail-over", metavar="PERCENT", type=_share, default=0.0, help=about)
    parser.add_argument(
        "--journal", action="store_true", help="put what differs on the list of `strangler mismatches`, too"
    )


def run(options: argparse.Namespace) -> int:
    config = load(options.config, os.environ, lambda values: _lacking(values, journal=options.journal))
    unknown = sorted(set(options.route) - {route.name for route in config.routes})
    if unknown:
        raise BadUsage(f"{options.config} has no route {unknown[0]}; `strangler routes` lists them", USAGE)
    from proxy.replay.source import Source  # with all that only this command needs

    try:
        with Source(options.file, Form(options.format) if options.format else None) as source:
            found = _replayed(config, source, options)
    except Unreadable as fault:
        raise BadUsage(f"{options.file}: {fault}", USAGE) from None
    if found.unreadable and not found.tally.asked:
        raise BadUsage(f"{options.file}: {found.stopped}", USAGE)
    told = report.told(found.tally, found.mismatches, found.seconds, found.stopped)
    passed = report.will_do(found.tally, found.stopped, options.fail_over)
    whole = {"file": options.file, "format": source.form.value, **told, "passed": passed}
    terminal.say(whole, report.text(told), as_json=options.json)
    return 2 if found.unreadable else 0 if passed else 1


def _replayed(config: Config, source: Source, options: argparse.Namespace) -> Found:
    import uvloop

    from proxy.replay.asking import Manner
    from proxy.replay.session import SideDown, choice_of, replay
    from proxy.tasks import Tasks

    host = options.host or config.legacy.url[0].authority
    headers = tuple(options.header)
    manner = Manner(Pace(options.rate), options.concurrency, host.encode(), headers, options.limit)
    choice = choice_of(config, frozenset(options.route), options.host, send_credentials=options.send_credentials)

    async def asked() -> Found:
        drawing = Tasks()

        def begun(asking: Asking) -> None:
            _stop_on_signals(asking)
            if sys.stderr.isatty():
                drawing.start(_draw(asking, source))

        try:
            return await replay(config, source, choice, manner, journal=options.journal, on_asking=begun)
        except SideDown as down:
            raise OrderFailed(str(down)) from None
        finally:
            await drawing.close()

    with logged_apart():
        return uvloop.run(asked())


def _stop_on_signals(asking: Asking) -> None:
    """The first lets what is under way end, and what was found be told; a second one ends it all."""
    loop = asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        loop.remove_signal_handler(number)
        asking.stop(f"{number.name} ended it")

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)


async def _draw(asking: Asking, source: Source) -> None:
    began = time.monotonic()
    try:
        while True:
            terminal.progress(report.progress(asking.tally, source.progress, time.monotonic() - began))
            await asyncio.sleep(DRAWN_EVERY)
    finally:
        terminal.progress("")


@contextmanager
def logged_apart() -> Iterator[None]:
    """Standard output is the report's: what goes wrong in this process is logged beside it, as far as it is news."""
    left = iter(range(LINES))

    def few(logger: Any, name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        if next(left, None) is None:
            raise structlog.DropEvent
        return event

    from proxy.logs import WITHOUT_VALUES

    before = structlog.get_config() if structlog.is_configured() else None
    structlog.configure(
        processors=[
            few,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(WITHOUT_VALUES),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", sys.stderr)),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.configure(**before) if before else structlog.reset_defaults()


def _lacking(values: Values, *, journal: bool) -> Iterator[Fault]:
    """What a configuration must have that a proxy can do without."""
    if values.get("native") is None:
        yield Fault("native", "is absent: a replay asks both sides")
    if journal and values.get("redis") is None:
        yield Fault("redis", "--journal needs it: without it each process has a list of its own")


def _headers(text: str) -> list[Header]:
    if not text.startswith("@"):
        return [_header(text)]
    try:
        lines = Path(text[1:]).read_text(encoding="latin-1").splitlines()
    except (OSError, ValueError):
        raise argparse.ArgumentTypeError(f"the file {text[1:]} cannot be read") from None
    return [_header(line) for line in lines if line.strip()]


def _header(line: str) -> Header:
    """The value is not repeated: it may be a token."""
    name, colon, value = (part.strip(" \t") for part in line.partition(":"))
    if not colon or not is_header(name, value):
        raise argparse.ArgumentTypeError("a header is written like 'Accept: application/json'")
    found = name.lower().encode("ascii"), value.encode("latin-1")
    if found[0] in HOP_BY_HOP | _FRAMING:
        raise argparse.ArgumentTypeError(f"{name} cannot be set; the host is, by --host")
    return found


def _host(text: str) -> str:
    from proxy.strict import fault

    if not text.isascii() or fault("1.1", b"GET", b"/", [(b"host", text.encode("ascii"))]) is not None:
        raise argparse.ArgumentTypeError(f'"{text}" is no host, such as api.example.com')
    return text.lower()


def _rate(text: str) -> float:
    try:
        return per_second(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _share(text: str) -> float:
    return units.rate(arguments.percent(text))


def _concurrency(text: str) -> int:
    number = arguments.count(text)
    if number > MOST:
        raise argparse.ArgumentTypeError(f'"{text}" is more than {MOST}')
    return number
