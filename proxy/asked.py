"""What an order says, and a question: taken from the request, or refused in words."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

from flags.flag import GENERATIONS
from proxy.units import share as parse_share

MOST = 1000  # entries in one answer
LONGEST = 1000  # characters of a reason: all of them are kept as long as its record is
NO_REASON = "no reason given"

Body = Mapping[str, Any]


async def body_of(request: Request, known: Collection[str] | None = None) -> Body:
    """The JSON object that came; an empty one if nothing did. One with a key that is not `known` is refused."""
    try:
        body = await request.json() if await request.body() else {}
        json.dumps(body, ensure_ascii=False).encode()  # half a character, as in "\\ud800", could not be told again
    except (ValueError, RecursionError):  # deeper than anybody means it
        body = None
    if not isinstance(body, dict):
        raise HTTPException(400, "the body must be a JSON object")
    strange = sorted(body.keys() - set(body if known is None else known))
    if strange:
        raise HTTPException(400, f"{strange[0][:LONGEST]}: nobody knows what this means, and nothing changed")
    return body


def why_of(body: Body) -> str:
    """The reason as it may stand on anybody's terminal: what is no character to be seen is a space."""
    why = body.get("why")
    if not isinstance(why, str):
        return NO_REASON
    return "".join(each if each.isprintable() else " " for each in why[:LONGEST]).strip() or NO_REASON


def share_of(body: Body, key: str) -> int | None:
    if body.get(key) is None:
        return None
    try:
        return parse_share(body[key])
    except ValueError as error:
        raise HTTPException(400, f"{key}: {error}") from None


def generation_of(body: Body) -> int | None:
    """Of the flag that an order is meant for, if it says so."""
    generation = body.get("generation")
    if isinstance(generation, float) and generation.is_integer():
        generation = int(generation)  # 5.0 is whole in JSON, too
    if generation is not None and (type(generation) is not int or not 0 <= generation <= GENERATIONS):
        raise HTTPException(400, "generation: the whole number that /flags tells of the route")
    return generation


def count_of(request: Request) -> int:
    """How many entries are asked for."""
    count = request.query_params.get("count", "20")
    if not re.fullmatch("0*[1-9][0-9]{0,17}", count):
        raise HTTPException(400, "count must be a whole number above 0")
    return min(int(count), MOST)
