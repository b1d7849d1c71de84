"""The real native application with one defect at a time, as a port of it may have."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from handlers.app import app as messaging

VARIABLE = "DEFECT_FILE"  # of the environment: the file that names the defect, empty for none

Data = Any


def _set(field: str, change: Callable[[Any], Any]) -> Callable[[Data], Data]:
    def changed(data: Data) -> Data:
        return {**data, field: change(data[field])} if isinstance(data, dict) else data

    return changed


def _without(field: str) -> Callable[[Data], Data]:
    def changed(data: Data) -> Data:
        return {name: value for name, value in data.items() if name != field} if isinstance(data, dict) else data

    return changed


def _escaped(text: str) -> str:
    return f"&#{ord(text[0])};{text[1:]}"


DEFECTS: dict[str, Callable[[Data], Data]] = {
    "wrong rounding": _set("messageCount", lambda count: count + 100 - count % 100),
    "missing field": _without("assignee"),
    "order": lambda data: data[::-1] if isinstance(data, list) else data,
    "stale cache": _set("status", lambda status: "resolved" if status != "resolved" else "open"),
    "time zone": _set("createdAt", lambda at: at.replace("Z", "+00:00")),
    "HTML escaping": _set("contact", lambda contact: {**contact, "name": _escaped(contact["name"])}),
    "integer as string": _set("id", str),
}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        return await messaging(scope, receive, send)
    defect = DEFECTS.get(Path(os.environ[VARIABLE]).read_text())  # noqa: ASYNC240  # a few bytes, in a test

    async def change(message: Message) -> None:
        if defect is not None and message["type"] == "http.response.start":
            headers = [(name, value) for name, value in message["headers"] if name != b"content-length"]
            message = {**message, "headers": headers}
        if defect is not None and message["type"] == "http.response.body" and message.get("body"):
            shown = json.loads(message["body"])
            shown["data"] = defect(shown["data"])
            message = {**message, "body": json.dumps(shown, ensure_ascii=False, separators=(",", ":")).encode()}
        await send(message)

    return await messaging(scope, receive, change)
