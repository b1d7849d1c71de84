"""What Facebook tells of the pages of our inboxes: proved to be Facebook's, then left to a job."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field, PlainValidator
from starlette.requests import Request

from . import inputs, outbox, resources
from .answers import Answer, Text
from .errors import Forbidden, Invalid, MalformedJson, Unauthorized
from .headers import header
from .inputs import Input, check_text
from .outbox import Job
from .shadow import shadowed

LONGEST_CHALLENGE = 1_000


def check_challenge(value: object) -> str:
    return check_text(value, LONGEST_CHALLENGE)


class ChallengeRequest(Input):
    challenge: Annotated[str, PlainValidator(check_challenge)] = Field(alias="hub.challenge")


async def confirm(request: Request) -> Text:
    """Facebook asks once whether this address is ours."""
    asked, token = request.state.parameters, resources.of(request).settings.facebook_verify_token
    shown = asked.get("hub.verify_token")
    if asked.get("hub.mode") != "subscribe" or not isinstance(shown, str) or not proves(shown.encode(), token):
        raise Forbidden
    return Text(inputs.checked(ChallengeRequest, {"hub.challenge": asked.get("hub.challenge")}).challenge)


async def receive(request: Request) -> Answer:
    """Facebook waits for the answer, and comes again without it: the work is a job's."""
    held = resources.of(request)
    body = await inputs.read(request, any_type=True)
    shown = header(request.scope, b"x-hub-signature-256") or b""
    if not proves(shown, signature(body, held.settings.facebook_app_secret)):
        raise Unauthorized
    entries = entries_of(inputs.parsed(body))
    if entries and not shadowed(request):
        # Of no row: nothing is committed here that it would have to follow.
        job = Job(0, "default", "FacebookWebhookJob", [entries], secrets.token_hex(12), datetime.now(UTC))
        # From here on nobody can say that nothing was kept: Redis may have done what it did not answer in time.
        request.state.commit_sent = True
        async with held.in_time():
            await outbox.push(held.redis, [job], time.time())
    return Answer({"status": "received"})


def signature(body: bytes, secret: str) -> str:
    """What `X-Hub-Signature-256` must be; nothing at all if nobody knows the secret."""
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}" if secret else ""


def proves(shown: bytes, known: str) -> bool:
    """Whether the two are the same, in a time that does not tell how much of them is. Nothing proves nothing."""
    return known != "" and hmac.compare_digest(shown, known.encode())


def entries_of(delivery: Any) -> list[Any]:
    """One for each page, with its events."""
    if not isinstance(delivery, dict):
        raise Invalid([("", "must be an object")])
    entries = delivery.get("entry")
    if not isinstance(entries, list):
        return []
    try:
        # In a job they lie two levels deeper; and what reads a number beyond all others as infinity could not write it.
        inputs.check_strings_and_depth(f"[[{json.dumps(entries, allow_nan=False, ensure_ascii=False)}]]")
    except ValueError:
        raise MalformedJson from None
    return entries
