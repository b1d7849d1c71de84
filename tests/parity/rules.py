"""Where the answers of two sides may differ that each have a state of their own. No I/O.

Each rule has a name and a reason; whatever no rule explains is a difference. A rule finds a text in a body and puts
another in its place, on both sides: everything around it is compared byte for byte.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from tests.parity.sides import Reply

SECONDS_OF_A_TOKEN = 900


@dataclass(frozen=True, slots=True)
class Rule:
    """`put` gives what takes the place of a match; the same text if the rule is not about it."""

    name: str
    reason: str
    pattern: re.Pattern[bytes]
    put: Callable[[bytes, datetime], bytes]


@dataclass(frozen=True, slots=True)
class Told:
    """An answer as it is compared, and the names of the rules that changed it."""

    status: int
    headers: dict[str, str]
    body: bytes
    explained: frozenset[str] = frozenset()

    def agrees(self, other: Told) -> bool:
        return (self.status, self.headers, self.body) == (other.status, other.headers, other.body)


def moment(text: bytes, since: datetime) -> bytes:
    return b"<moment>" if datetime.fromisoformat(text.decode()) >= since else text


def cursor(text: bytes, since: datetime) -> bytes:
    """Of a page of conversations: the id stays, the microseconds go. A cursor of ids alone is compared as it is."""
    microseconds, colon, id = unpadded(text).partition(b":")
    return b"<moment>:" + id if colon and int(microseconds) >= since.timestamp() * 1e6 else text


def access_token(text: bytes, since: datetime) -> bytes:
    """Whose it is stays; when it was made, its number and so its signature go, if they are what they must be."""
    head, payload, _ = text.split(b".")
    claims = json.loads(unpadded(payload))
    fresh = claims["iat"] >= int(since.timestamp()) and claims["exp"] - claims["iat"] == SECONDS_OF_A_TOKEN
    if not fresh or list(claims) != ["sub", "account_id", "iat", "exp", "jti"]:
        return text
    return b"%s.<of %s in %d>" % (unpadded(head), claims["sub"].encode(), claims["account_id"])


def refresh_token(text: bytes, since: datetime) -> bytes:
    return b"<32 random bytes>"


def unpadded(text: bytes) -> bytes:
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))


RULES = (
    Rule(
        "moment",
        "each side reads a clock of its own when it writes a row; a time from before the comparison must agree",
        re.compile(rb'(?<=")\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z(?=\\?")'),  # also in JSON within JSON
        moment,
    ),
    Rule(
        "moment of a row",
        "as above, where it is written: without a zone, in microseconds",
        re.compile(rb'(?<=": ")\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?=")'),
        lambda text, since: moment(text + b"Z", since).removesuffix(b"Z"),
    ),
    Rule(
        "cursor of a moment",
        "a page that ends with a conversation of new activity is continued from its time, which is each side's own",
        re.compile(rb'(?<="nextCursor":")[\w-]+(?=")'),
        cursor,
    ),
    Rule(
        "access token",
        "it holds the time of its making and a random number, and is signed over both",
        re.compile(rb'(?<="accessToken":")[\w-]+\.[\w-]+\.[\w-]+(?=")'),
        access_token,
    ),
    Rule("refresh token", "it is random", re.compile(rb'(?<="refreshToken":")[\w-]{43}(?=")'), refresh_token),
)
TAG = "tag"
TAG_REASON = "the ETag is a digest of a body that another rule is about; it must be that of its own side's body"


def told(reply: Reply, since: datetime, asked_tag: str | None = None) -> Told:
    """An answer with what the rules are about taken out. `asked_tag` is what this side was asked with."""
    body, explained = ruled(reply.body, since)
    headers = reply.compared
    tag = headers.get("etag")
    if (explained and tag == reply.tag_of_body) or (reply.status == 304 and tag is not None and tag == asked_tag):
        headers["etag"] = "<of its own body>"
        explained.add(TAG)
    return Told(reply.status, headers, body, frozenset(explained))


def ruled(body: bytes, since: datetime) -> tuple[bytes, set[str]]:
    """A body with what the rules are about taken out, and which rules these were."""
    explained = set()
    for rule in RULES:
        replaced = rule.pattern.sub(lambda match, put=rule.put: put(match[0], since), body)  # type: ignore[misc]  # as it is
        if replaced != body:
            explained.add(rule.name)
        body = replaced
    return body, explained


def beginning(now: datetime) -> datetime:
    """A comparison that begins now counts times from the start of this second: answers cut theirs to milliseconds."""
    return now.astimezone(UTC).replace(microsecond=0)
