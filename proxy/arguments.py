"""What may stand behind a command, or why it may not. No I/O."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeVar

from flags.flag import GENERATIONS
from proxy import units
from proxy.address import Address
from proxy.forcing import WHO

T = TypeVar("T")
MOST_WORKERS = 64


class BadUsage(Exception):
    """A command as nobody can mean it."""

    def __init__(self, words: str, usage: str) -> None:
        super().__init__(words)
        self.usage = usage


class Parser(argparse.ArgumentParser):
    """Leaves it to the caller to say what is wrong with a command."""

    def error(self, message: str) -> NoReturn:
        raise BadUsage(message, self.format_usage())


def text(given: str) -> str:
    """What is no UTF-8 is shown as such: an order is not to fail for the words that go with it."""
    return given.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def directory(given: str) -> Path:
    """One that is there: what is written to another would be read by nobody."""
    if not given or not Path(given).is_dir():
        raise argparse.ArgumentTypeError(f'"{text(given)}" is no directory here; name the one that admin.state names')
    return Path(given)


def percent(text: str) -> str:
    _parsed(units.share, text)
    return text


def step(text: str) -> str:
    """A share, of which the sign may be left out here."""
    return percent(text if text.endswith("%") else f"{text}%")


def time(text: str) -> str:
    duration(text)
    return text


def duration(text: str) -> float:
    return _parsed(units.duration, text)


def who(text: str) -> str:
    if not WHO.fullmatch(text):
        raise argparse.ArgumentTypeError(f'"{text}" must be letters, digits, _ . @ and -, at most 100')
    return text


def address(text: str) -> Address:
    return _parsed(Address.parse, text)


def count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f'"{text}" is not a number above 0')
    return int(text)


def generation(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= GENERATIONS):
        raise argparse.ArgumentTypeError(f'"{text}" is no generation; `strangler status --json` tells them')
    return int(text)


def workers(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= MOST_WORKERS):
        raise argparse.ArgumentTypeError(f'"{text}" is not a number from 1 to {MOST_WORKERS}')
    return int(text)


def _parsed(parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
