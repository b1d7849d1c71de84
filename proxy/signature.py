"""The proxy's own words on a request, and the signature by which another proxy of ours believes them.  No I/O.

`X-Strangler-Signature: t=<Unix seconds>,v1=<hex>` is an HMAC-SHA256 over the time, the method, the request target and
every other `X-Strangler-*` line: none can be added, changed, taken away or moved to another request.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

Header = tuple[bytes, bytes]

PREFIX = b"x-strangler-"
SHADOW = b"x-strangler-shadow"
COMPARED = b"x-strangler-compared"  # what is left of a mark that was not believed: whoever made it compares the request
SIGNATURE = b"x-strangler-signature"
CLOCKS = 60  # seconds by which two proxies' clocks may differ, and for which a copied request would be believed again

_FORM = re.compile(rb"t=([0-9]{1,12}),v1=([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Secret:
    """What proxies that believe each other share."""

    value: bytes = field(repr=False)

    def signed(self, words: Iterable[Header], *, method: bytes, target: bytes, now: float) -> list[Header]:
        """The words with their signature, to be sent with this request."""
        lines, at = list(words), b"%d" % now
        return [*lines, (SIGNATURE, b"t=%b,v1=%b" % (at, self._mac(at, method, target, lines)))]

    def words(self, headers: Iterable[Header], *, method: bytes, target: bytes, now: float) -> Mapping[str, str]:
        """The words of a request by their names without the prefix; none unless the signature is theirs and fresh."""
        lines = [(name.lower(), value) for name, value in headers if name[:12].lower() == PREFIX]
        signatures = [value for name, value in lines if name == SIGNATURE]
        words = [line for line in lines if line[0] != SIGNATURE]
        found = _FORM.fullmatch(signatures[0]) if len(signatures) == 1 else None
        if found is None or abs(now - int(found[1])) > CLOCKS or len({name for name, _ in words}) < len(words):
            return {}
        if not hmac.compare_digest(found[2], self._mac(found[1], method, target, words)):
            return {}
        return {name[len(PREFIX) :].decode("latin-1"): value.decode("latin-1") for name, value in words}

    def _mac(self, at: bytes, method: bytes, target: bytes, lines: Sequence[Header]) -> bytes:
        told = sorted(b"%b:%b" % (name.lower(), value.strip(b" \t")) for name, value in lines)
        # No part can hold a line feed, and no name a colon: HTTP allows neither (RFC 9110 §5.1, §5.5).
        return hmac.digest(self.value, b"\n".join((at, method, target, *told)), "sha256").hex().encode()
