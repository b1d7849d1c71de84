"""Faults of ours, told to Sentry off the request path. What people send and write stays here."""

from __future__ import annotations

import re
from typing import Any

import sentry_sdk
from anyio import to_thread
from sentry_sdk.utils import event_from_exception

CLOSE_WITHIN = 2.0  # seconds for what is still to be sent when the application stops
# An exception's text may quote what somebody wrote, a token, or a URL with a password in it.
QUOTED = re.compile(r"""'[^']*'|"[^"]*"|[\w-]{20,}(?:\.[\w-]+)*|://[^\s/@]*@""", re.ASCII)
MASK = "[…]"
TAGS = ("request_id", "account_id", "shadow")


def masked(text: str) -> str:
    """The first line, without what it quotes: PostgreSQL shows the row that failed in those that follow."""
    return QUOTED.sub(MASK, text.partition("\n")[0])


class Reports:
    """A client of Sentry's of our own: the process around us may have another, or none. Off without a DSN.

    Events wait for the SDK's thread in a queue of bounded length; those that find it full are dropped.
    """

    def __init__(self, dsn: str) -> None:
        self._client = None
        if dsn:
            self._client = sentry_sdk.Client(
                dsn=dsn,
                default_integrations=False,
                auto_enabling_integrations=False,
                include_local_variables=False,
                max_breadcrumbs=0,
            )

    def tell(self, error: Exception, request: dict[str, Any]) -> None:
        """Of the request no more is told than the log says of it too."""
        if self._client is None:
            return
        event, hint = event_from_exception(error, self._client.options, {"type": "handlers", "handled": True})
        for exception in event["exception"]["values"]:
            exception["value"] = masked(exception["value"] or "")
        event["request"] = {"method": request["method"], "url": request["path"]}
        event["tags"] = {name: str(request[name]) for name in TAGS if name in request}
        if "user_id" in request:
            event["user"] = {"id": str(request["user_id"])}
        self._client.capture_event(event, hint, sentry_sdk.Scope(client=self._client))

    async def close(self) -> None:
        if self._client is not None:
            await to_thread.run_sync(self._client.close, CLOSE_WITHIN)
