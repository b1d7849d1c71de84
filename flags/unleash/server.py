"""Unleash over HTTP: its definitions, if they are others than before, and the switch of a flag."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import quote

import httpx

from flags.unleash.answer import Garbage
from flags.unleash.rules import APP

LIMIT = 1.0  # seconds that any one question may take
LARGEST = 16 * 1024 * 1024  # bytes of an answer


class Unreachable(Exception):
    """No answer, or one that says no."""


class Denied(Unreachable):
    """An answer that says no."""


class Server:
    """`url`: with or without the `/api` that SDKs want. `token` is a client's, `admin` one that may switch flags."""

    def __init__(
        self, url: str, token: str, admin: str | None = None, *, limit: float = LIMIT, largest: int = LARGEST
    ) -> None:
        self._url, self._token = url.rstrip("/").removesuffix("/api"), token
        self._admin, self._limit, self._largest = admin, limit, largest
        self._environment = environment_of(token)
        self._client = httpx.AsyncClient(timeout=limit, trust_env=False, headers={"unleash-appname": APP})
        self._etag: str | None = None

    @property
    def can_switch(self) -> bool:
        return self._admin is not None

    async def definitions(self) -> Any:
        """What Unleash tells, as JSON; None if that is what it told before `forget`."""
        told = {"authorization": self._token} | ({"if-none-match": self._etag} if self._etag else {})
        status, headers, body = await self._ask("GET", "/api/client/features", told)
        if status == httpx.codes.NOT_MODIFIED and self._etag:
            return None
        if status != httpx.codes.OK:
            raise Denied(_refusal(status))
        try:
            definitions = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise Garbage(f"it is no JSON: {error}") from None
        self._etag = headers.get("etag")
        return definitions

    def forget(self) -> None:
        """What was told is of no use: have it told again."""
        self._etag = None

    async def switch_off(self, project: str, flag: str) -> None:
        """Disable a flag in the token's environment; saying it twice is saying it once."""
        path = "/".join(quote(part, safe="") for part in (project, "features", flag, "environments", self._environment))
        told = {"authorization": self._admin or ""}
        status, _, _ = await self._ask("POST", f"/api/admin/projects/{path}/off", told)
        if not httpx.codes.is_success(status):
            raise Denied(_refusal(status))

    async def close(self) -> None:
        await self._client.aclose()

    async def _ask(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, httpx.Headers, bytes]:
        body = bytearray()
        try:
            async with (
                asyncio.timeout(self._limit),
                self._client.stream(method, self._url + path, headers=headers) as answer,
            ):
                async for part in answer.aiter_bytes():
                    body += part
                    if len(body) > self._largest:
                        raise Garbage(f"it is larger than {self._largest} bytes")
        except TimeoutError:
            raise Unreachable(f"no answer within {self._limit:g} s") from None
        except httpx.HTTPError as error:
            raise Unreachable(str(error) or type(error).__name__) from None
        return answer.status_code, answer.headers, bytes(body)


def environment_of(token: str) -> str:
    """The environment that a client's token (`project:environment.secret`) reads; a ValueError if it names none."""
    _, colon, rest = token.partition(":")
    environment, dot, _ = rest.partition(".")
    if not colon or not dot or not environment:
        raise ValueError("is no token of a client, such as default:production.6f1c…")
    return environment


def _refusal(status: int) -> str:
    hint = ": the token is not valid, or not for this" if status in (401, 403) else ""
    return f"it answered with status {status}{hint}"
