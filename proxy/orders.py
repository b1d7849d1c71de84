"""What the command asks of a running proxy, over its admin port."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import httpx

from proxy.address import Address
from proxy.roles import Role
from proxy.values import read_tokens

ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # where to ask a port that listens on every address
PATIENCE = 5.0  # seconds


class OrderFailed(Exception):
    """The order was refused, or did not arrive."""


class Orders:
    """Orders to the proxy at an address. The token is the environment's, or else the first of a file."""

    def __init__(self, address: Address, tokens: Path | None = None, patience: float = PATIENCE) -> None:
        self.address = Address(ANYWHERE.get(address.host, address.host), address.port)
        self._headers: dict[str, str] = {}
        self._patience = patience
        token = os.environ.get("STRANGLER_TOKEN") or _first_token(tokens)
        if token:
            self._headers["authorization"] = f"Bearer {token}"

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None, **query: str) -> dict[str, Any]:
        """The answer's JSON; OrderFailed says why there is none, and what that means."""
        url = f"http://{self.address}{path}"
        try:
            answer = httpx.request(
                method, url, json=body, params=query, headers=self._headers, timeout=self._patience, trust_env=False
            )
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
        return _told(answer)


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
    raise OrderFailed(f"{told.get('error', answer.status_code)}{hint}")


def _first_token(place: Path | None) -> str | None:
    """An operator's, if there is one."""
    try:
        found = read_tokens(place) if place is not None else {}
    except ValueError:
        return None  # the proxy says better what is wrong with it
    return next((token for token, holder in found.items() if holder.may(Role.OPERATOR)), next(iter(found), None))
