"""The ways through the proxy, each a real `strangler serve`, and the origins behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from proxy.routes import METHODS
from shadow.eligibility import SAFE
from tests.e2e.proxies import running, until
from tests.fidelity.cases import Case
from tests.fidelity.framing import requests
from tests.fidelity.origin import Origin, running_origin
from tests.fidelity.table import CASES

# The knobs of the routes that every request matches; None: there are no routes.
WAYS: Mapping[str, Mapping[str, str] | None] = {
    "unmatched": None,
    "matched": {},
    "shadowed": {"shadow": "100%"},
    "native": {"share": "100%"},
}
ON_ASGI = {"shadowed": SAFE, "native": METHODS}


@dataclass(frozen=True, slots=True)
class Way:
    """A port of the proxy, and the origins that may be asked through it: first the one that it is about.

    `on_asgi`: the methods of which requests do not go below ASGI.
    """

    port: int
    origins: tuple[Origin, ...]
    on_asgi: frozenset[str]

    def relays(self, case: Case) -> bool:
        return not any(method in self.on_asgi for method, _ in asked(case))


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=WAYS)
async def way(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Way]:
    knobs = WAYS[request.param]
    async with running_origin(skips_shadows=True) as legacy, running_origin(skips_shadows=True) as native:
        config: dict[str, Any] = {"legacy": {"url": f"http://127.0.0.1:{legacy.port}"}}
        if knobs is not None:
            config |= {"native": {"url": f"http://127.0.0.1:{native.port}"}, "routes": routes(knobs)}
        with running(tmp_path_factory.mktemp("fidelity"), config) as proxy:
            if knobs is not None:
                until(proxy, lambda: proxy.metric("strangler_native_ready") == 1)
            origins = (native, legacy) if request.param == "native" else (legacy,)
            yield Way(proxy.service.port, origins, frozenset(ON_ASGI.get(request.param, ())))


def routes(knobs: Mapping[str, str]) -> list[dict[str, str]]:
    """A route for each method and path of the table; what is never asked of a second side is not shadowed."""
    matches: dict[str, bool] = {}
    for method, target in (request for case in CASES for request in asked(case)):
        if method in METHODS and target.startswith("/"):
            matches[f"{method} {target.partition('?')[0]}"] = method in SAFE or "shadow" not in knobs
    return [
        {"name": f"r{number}", "match": match, **(knobs if turned else {})}
        for number, (match, turned) in enumerate(matches.items())
    ]


def asked(case: Case) -> Iterator[tuple[str, str]]:
    """The methods and targets of a case."""
    for request in requests(b"".join(step for step in case.client if isinstance(step, bytes))):
        method, target, _ = request.start.decode().split(" ")
        yield method, target
