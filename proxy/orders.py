"""What the command asks of a running proxy, over its admin port."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from proxy.address import Address
from proxy.roles import Role
from proxy.values import read_tokens

ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # where to ask a port that listens on every address
PATIENCE = 5.0  # seconds
LONG = 15.0  # seconds that an order for every route may take on a machine that is at its limit
SILENCE = 40.0  # seconds without a word on a stream, of which every 15 bring one, after which it is given up

Told = Mapping[str, Any]
Event = tuple[str, Told | None]  # where the stream is, and what happened there


class OrderFailed(Exception):
    """The order was refused, or did not arrive. `told`: all that the port said."""

    def __init__(self, words: str, told: Told | None = None) -> None:
        super().__init__(words)
        self.told = told or {}


class Orders:
    """Orders to the proxy at an address. The token is the environment's, or else the first of a file."""

    def __init__(self, address: Address, tokens: Path | None = None, patience: float = PATIENCE) -> None:
        self.address = Address(ANYWHERE.get(address.host, address.host), address.port)
        self._headers: dict[str, str] = {}
        self._patience = patience
        token = os.environ.get("STRANGLER_TOKEN") or _first_token(tokens)
        if token:
            if not token.isascii():
                raise OrderFailed("nothing changed: the token has characters that no token has (STRANGLER_TOKEN)")
            self._headers["authorization"] = f"Bearer {token}"

    def ask(
        self, method: str, path: str, body: dict[str, Any] | None = None, patience: float | None = None, **query: str
    ) -> dict[str, Any]:
        """The answer's JSON; OrderFailed says why there is none, and what that means."""
        url, timeout = f"http://{self.address}{path}", self._patience if patience is None else patience
        with self._reaching():
            answer = httpx.request(
                method, url, json=body, params=query, headers=self._headers, timeout=timeout, trust_env=False
            )
        return _told(answer)

    def events(self, after: str = "") -> Iterator[Event]:
        """What happens from now on, or behind the event with this id, until the stream ends. The first says where."""
        headers = self._headers | ({"last-event-id": after} if after else {})
        limits, url = httpx.Timeout(self._patience, read=SILENCE), f"http://{self.address}/events"
        with (
            self._reaching(),
            httpx.stream("GET", url, headers=headers, timeout=limits, trust_env=False) as answer,
        ):
            if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                answer.read()
                _told(answer)
                raise OrderFailed(f"what answers at {answer.url} tells no events")
            try:
                yield from _events(answer.iter_lines())
            except httpx.HTTPError:
                return  # as if it had been ended

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except httpx.ConnectError as error:
            raise OrderFailed(
                f"no proxy answers at {self.address}, so nothing changed; is `strangler serve` running, with its "
                "operators' port there?"
            ) from error
        except httpx.HTTPError as error:
            raise OrderFailed(
                f"the proxy at {self.address} did not answer ({type(error).__name__}): it may or may not have taken "
                "the order; look at `strangler status`"
            ) from error


def _told(answer: httpx.Response) -> dict[str, Any]:
    try:
        told = answer.json()
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise OrderFailed(f"what answers at {answer.url} is not a strangler's admin port (status {answer.status_code})")
    if answer.is_success:
        return told
    hint = "; set STRANGLER_TOKEN" if answer.status_code == httpx.codes.UNAUTHORIZED else ""
    raise OrderFailed(f"{told.get('error', answer.status_code)}{hint}", told)


def _events(lines: Iterator[str]) -> Iterator[Event]:
    """Server-sent events, each with the last id that was named; one that is cut off is none."""
    id, data = "", ""
    for line in lines:
        field, _, value = line.partition(": ")
        if field == "id":
            id = value
        elif field == "data":
            data = value
        elif not line:
            yield id, json.loads(data) if data else None
            data = ""


def _first_token(place: Path | None) -> str | None:
    """An operator's, if there is one."""
    try:
        found = read_tokens(place) if place is not None else {}
    except ValueError:
        return None  # the proxy says better what is wrong with it
    return next((token for token, holder in found.items() if holder.may(Role.OPERATOR)), next(iter(found), None))
