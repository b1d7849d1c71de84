"""The client that browsers run, through the proxy: it hears of messages, whichever side wrote them."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

from demo.service import Service
from demo.stack import Application
from tests.e2e.proxies import Proxy, running, until

CLIENT = Path(__file__).parent / "cable"
PATIENCE = 30  # seconds without a word from the client

Connect = Callable[..., "Client"]


@dataclass(frozen=True, slots=True)
class Client:
    """A running client, and what it says."""

    process: subprocess.Popen[str]
    said: queue.Queue[dict[str, Any]]

    def hears(self) -> dict[str, Any]:
        """The next event."""
        return self.said.get(timeout=PATIENCE)

    def leave(self) -> list[dict[str, Any]]:
        """End the client; what it had said that nobody asked for."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(PATIENCE) == 0
        rest = []
        while (event := self.said.get(timeout=PATIENCE)) is not END:
            rest.append(event)
        return rest


END: dict[str, Any] = {}


@contextmanager
def client(url: str, origin: str, conversations: tuple[int, ...]) -> Iterator[Client]:
    said: queue.Queue[dict[str, Any]] = queue.Queue()

    def listen(output: IO[str]) -> None:
        for line in output:
            said.put(json.loads(line))
        said.put(END)

    command: list[str | Path] = ["node", CLIENT / "client.mjs", url, origin, *map(str, conversations)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        listener = threading.Thread(target=listen, args=[process.stdout])
        listener.start()
        try:
            yield Client(process, said)
        finally:
            process.kill()
            listener.join()


@pytest.fixture(scope="session")
def installed() -> None:
    """The client's packages, as they are locked."""
    lock, done = CLIENT / "package-lock.json", CLIENT / "node_modules" / ".package-lock.json"
    if not done.exists() or done.stat().st_mtime < lock.stat().st_mtime:
        subprocess.run(["npm", "ci"], cwd=CLIENT, check=True, capture_output=True)


@pytest.fixture(scope="module")
def proxy(rails: Service, application: Application, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    config = {
        "legacy": {"url": rails.url},
        "native": {"app": "handlers.app:app"},
        "routes": [{"name": "messages.create", "match": "POST /api/v1/messages"}],
    }
    with running(tmp_path_factory.mktemp("cable"), config, application.environment()) as proxy:
        until(proxy, lambda: proxy.metric("strangler_native_ready") == 1)
        yield proxy


@pytest.fixture(scope="module")
def token(proxy: Proxy) -> str:
    return sign_in(proxy, "agent1@acme.example")


@pytest.fixture
def connect(proxy: Proxy, installed: None) -> Iterator[Connect]:
    """A client of these conversations, subscribed through the proxy."""
    with ExitStack() as clients:

        def connect(*conversations: int, query: str = "") -> Client:
            url = f"{proxy.url.replace('http', 'ws')}/cable{query}"
            return clients.enter_context(client(url, proxy.url, conversations))

        yield connect


def sign_in(proxy: Proxy, email: str) -> str:
    answer = proxy.users.post("/auth/login", json={"email": email, "password": "password"}).raise_for_status()
    token: str = answer.json()["accessToken"]
    return token


def a_conversation(proxy: Proxy, token: str) -> int:
    """One that the bearer of the token may read."""
    answer = proxy.users.get("/api/v1/conversations?limit=1", headers=bearer(token)).raise_for_status()
    number: int = answer.json()["data"][0]["id"]
    return number


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def write(proxy: Proxy, token: str, side: str, conversation: int) -> dict[str, Any]:
    """A message written by this side, as its answer shows it."""
    until(proxy, lambda: proxy.metric("strangler_native_ready") == 1)
    proxy.order("set", "messages.create", "100%" if side == "native" else "0%")

    def answered() -> float:
        return proxy.metric("strangler_requests_total", side=side, outcome="ok", route="messages.create")

    before = answered()
    order = {"content": f"Grüße <b>&amp;</b> from {side} 🎉", "conversationId": conversation}
    answer = proxy.users.post("/api/v1/messages", json=order, headers=bearer(token)).raise_for_status()
    until(proxy, lambda: answered() == before + 1)
    message: dict[str, Any] = answer.json()["data"]
    return message


def shape(value: Any) -> Any:
    """The names in their order, and the types."""
    return [(name, shape(each)) for name, each in value.items()] if isinstance(value, dict) else type(value)


def test_a_client_hears_of_messages_of_both_sides_in_one_shape(proxy: Proxy, token: str, connect: Connect) -> None:
    conversation = a_conversation(proxy, token)
    browser = connect(conversation, query=f"?token={token}")
    assert browser.hears() == {"event": "connected", "id": conversation, "data": None}

    heard = []
    for side in ("native", "legacy", "native"):
        written = write(proxy, token, side, conversation)
        event = browser.hears()
        assert event == {
            "event": "received",
            "id": conversation,
            "data": {"event": "message.created", "data": written},
        }
        heard.append(event)
    assert shape(heard[0]) == shape(heard[1])
    assert browser.leave() == []
    assert proxy.metric("strangler_upgrades_total", status="101") >= 1


def test_two_clients_hear_only_of_the_conversations_they_have_open(proxy: Proxy, token: str, connect: Connect) -> None:
    answer = proxy.users.get("/api/v1/conversations?limit=2", headers=bearer(token)).raise_for_status()
    first, second = [conversation["id"] for conversation in answer.json()["data"]]
    both, one = connect(first, second, query=f"?token={token}"), connect(second, query=f"?token={token}")
    assert {both.hears()["id"], both.hears()["id"]} == {first, second}
    assert one.hears()["event"] == "connected"

    write(proxy, token, "native", first)
    write(proxy, token, "legacy", second)
    assert sorted([both.hears()["id"], both.hears()["id"]]) == sorted([first, second])
    assert one.hears()["id"] == second
    assert both.leave() == one.leave() == []


def test_a_conversation_of_another_account_is_rejected_and_the_rest_goes_on(
    proxy: Proxy, token: str, connect: Connect
) -> None:
    theirs = a_conversation(proxy, sign_in(proxy, "agent1@globex.example"))
    ours, missing = a_conversation(proxy, token), 2**40
    browser = connect(theirs, missing, ours, query=f"?token={token}")
    told = {event["id"]: event["event"] for event in (browser.hears(), browser.hears(), browser.hears())}
    assert told == {theirs: "rejected", missing: "rejected", ours: "connected"}
    write(proxy, token, "native", ours)
    assert browser.hears()["event"] == "received"
    assert browser.leave() == []


@pytest.mark.parametrize("query", ["", "?token=", "?token=not.a.token"])
def test_a_client_without_a_valid_token_is_sent_away_for_good(query: str, proxy: Proxy, connect: Connect) -> None:
    browser = connect(1, query=query)
    event = browser.hears()
    assert event == {"event": "disconnected", "id": 1, "data": {"willAttemptReconnect": False}}
    assert browser.leave() == []
