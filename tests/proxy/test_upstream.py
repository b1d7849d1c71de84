from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from starlette.types import Message, Scope

from proxy.address import Address
from proxy.dial import Dial
from proxy.errors import Broken, ClientLeft, ClientStalled, NoAnswer, Refused, Saturated
from proxy.pool import Limits, Pool
from proxy.reply import Reply
from proxy.tasks import Tasks
from proxy.upstream import Errand, Upstream
from tests.fidelity.cases import TE, answer, chunked
from tests.fidelity.origin import OK, Origin, running_origin
from tests.fidelity.wire import Close, Gone, Hear, Reset, Script, Signals, Tell, Until, Whole
from tests.proxy.stage import eventually, settled

LENGTH = (b"content-length", b"6")
PATIENT = Limits(first_byte=30)


def part(body: bytes, *, more: bool = True) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


class User:
    """Whoever asks: the parts of a body, or its absence, are received; what is sent is kept once the user `reads`."""

    def __init__(self, *parts: Message, reads: bool = True) -> None:
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self.reads = asyncio.Event()
        self.sent: list[Message] = []
        self.says(*parts or (part(b"", more=False),))
        if reads:
            self.reads.set()

    def says(self, *parts: Message) -> None:
        for each in parts:
            self._inbox.put_nowait(each)

    @property
    def unread(self) -> int:
        return self._inbox.qsize()

    def leave(self) -> None:
        self.says({"type": "http.disconnect"})

    async def receive(self) -> Message:
        return await self._inbox.get()

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        if message["type"] == "http.response.body":
            await self.reads.wait()

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def answered(self) -> bytes:
        return b"".join(message["body"] for message in self.sent[1:])


def question(method: str = "GET", *headers: tuple[bytes, bytes]) -> Scope:
    return {
        "type": "http",
        "method": method,
        "raw_path": b"/a%2Fb",
        "path": "/a/b",
        "query_string": b"c",
        "headers": [(b"host", b"example.test"), *headers],
    }


@dataclass(frozen=True, slots=True)
class Stage:
    upstream: Upstream
    origin: Origin
    tasks: Tasks

    async def ask(self, scope: Scope | None = None, user: User | None = None) -> User:
        user = user or User()
        await self.upstream(scope or question(), user.receive, user.send)
        return user

    async def at_rest(self) -> None:
        """Nothing is under way, and nothing is counted that is not there."""
        await eventually(lambda: len(self.tasks) == 0 and self.upstream.pool.opened == self.upstream.pool.idle)
        assert self.upstream.pool.waiting == 0
        await self.origin.until(lambda: self.origin.open == self.upstream.pool.opened)


@asynccontextmanager
async def staged(*answers: Script, limits: Limits = PATIENT, signals: Signals | None = None) -> AsyncIterator[Stage]:
    async with running_origin() as origin:
        origin.begin(*answers, signals=signals)
        tasks = Tasks()
        stage = Stage(Upstream(Pool(Dial("legacy", [Address("127.0.0.1", origin.port)]), limits), tasks), origin, tasks)
        yield stage
        await stage.at_rest()
        stage.upstream.close()


async def test_a_question_and_its_answer_pass_as_they_are() -> None:
    raw = answer("201 Created", b"X-A: 1", b"X-A: 2", TE, body=chunked(b"o", b"k"))
    async with staged((Whole(), raw)) as stage:
        user = await stage.ask(question("POST", (b"X-B", b"1"), LENGTH), User(part(b"abc"), part(b"def", more=False)))
        assert (user.status, user.answered) == (201, b"ok")
        assert user.sent[0]["headers"] == [(b"x-a", b"1"), (b"x-a", b"2"), (b"transfer-encoding", b"chunked")]
        [came] = stage.origin.received
        assert (came.start, came.body) == (b"POST /a%2Fb?c HTTP/1.1", b"abcdef")
        assert came.headers == ((b"host", b"example.test"), (b"X-B", b"1"), LENGTH)


async def test_questions_share_connections() -> None:
    async with staged(OK) as stage:
        for _ in range(5):
            assert (await stage.ask()).answered == b"ok"
        assert stage.origin.accepted == 1


async def test_a_question_is_forgotten_without_the_help_of_the_garbage_collector() -> None:
    async with staged(OK) as stage:
        gc.collect()
        gc.disable()
        try:
            await stage.ask()
            await stage.at_rest()
            assert [each for each in gc.get_objects() if isinstance(each, Errand | Reply)] == []
        finally:
            gc.enable()


async def test_nobody_there_is_refused() -> None:
    upstream = Upstream(Pool(Dial("legacy", [Address("127.0.0.1", 1)]), PATIENT), Tasks())
    with pytest.raises(Refused):
        await upstream(question(), User().receive, User().send)
    assert upstream.pool.opened == 0


@pytest.mark.parametrize("script", [(Whole(), Gone()), (Whole(), answer("103 Early Hints"), Gone())])
async def test_no_answer_in_time_is_no_answer(script: Script) -> None:
    async with staged(script, limits=Limits(first_byte=0.05)) as stage:
        with pytest.raises(NoAnswer):
            await stage.ask()


async def test_a_side_has_its_time_only_from_the_end_of_the_upload() -> None:
    signals = Signals()
    script = (Until(b"abc"), Tell("half"), *OK)
    async with staged(script, limits=Limits(first_byte=2), signals=signals) as stage, asyncio.TaskGroup() as tasks:
        user = User(part(b"abc"))
        asking = tasks.create_task(stage.ask(question("POST", LENGTH), user))
        await signals["half"].wait()
        passed = asyncio.Event()
        asyncio.get_running_loop().call_later(2.2, passed.set)
        await passed.wait()
        assert not asking.done()
        user.says(part(b"def", more=False))
        await asking
        assert user.answered == b"ok"


async def test_more_questions_than_connections_and_places_are_turned_away() -> None:
    signals = Signals()
    async with staged((Hear("go"), *OK), limits=Limits(connections=1, queue=1), signals=signals) as stage:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(stage.ask())
            waiting = tasks.create_task(stage.ask())
            await eventually(lambda: stage.upstream.pool.waiting == 1)
            with pytest.raises(Saturated):
                await stage.ask()
            signals["go"].set()
        assert waiting.result().answered == b"ok"


@pytest.mark.parametrize("end", [Close(), Reset()], ids=["closed", "reset"])
async def test_a_safe_question_is_asked_again_when_its_connection_was_stale(end: Close | Reset) -> None:
    async with staged(OK, (Whole(), end), OK) as stage:
        await stage.ask()
        assert (await stage.ask()).answered == b"ok"
        assert [message.start for message in stage.origin.received] == [b"GET /a%2Fb?c HTTP/1.1"] * 3
        assert stage.origin.accepted == 2


@pytest.mark.parametrize(
    ("scope", "parts"),
    [
        (question("POST"), ()),
        (question("DELETE"), ()),
        (question("GET", LENGTH), (part(b"abcdef", more=False),)),
    ],
    ids=["POST", "DELETE", "GET with a body"],
)
async def test_a_question_that_may_have_had_an_effect_is_not_asked_again(
    scope: Scope, parts: tuple[Message, ...]
) -> None:
    async with staged(OK, (Whole(), Close()), OK) as stage:
        await stage.ask()
        with pytest.raises(Broken):
            await stage.ask(scope, User(*parts))
        assert len(stage.origin.received) == 2


async def test_a_question_is_asked_again_only_once_and_not_on_a_fresh_connection() -> None:
    async with staged(OK, (Whole(), Close())) as stage:
        await stage.ask()
        with pytest.raises(Broken):
            await stage.ask()
        assert len(stage.origin.received) == 3
        with pytest.raises(Broken):
            await stage.ask()
        assert len(stage.origin.received) == 4


async def test_a_question_whose_answer_has_begun_is_not_asked_again() -> None:
    async with staged(OK, (Whole(), b"HTTP/1.1 200 OK\r\nX-", Close())) as stage:
        await stage.ask()
        with pytest.raises(Broken):
            await stage.ask()
        assert len(stage.origin.received) == 2


async def test_an_answer_that_breaks_off_is_passed_on_as_far_as_it_came() -> None:
    async with staged((Whole(), answer("200 OK", b"Content-Length: 9", body=b"half"), Close())) as stage:
        user = User()
        with pytest.raises(Broken):
            await stage.ask(user=user)
        assert (user.status, user.answered) == (200, b"half")
        assert all(message["more_body"] for message in user.sent[1:])


async def test_a_slow_reader_does_not_keep_the_connection_of_a_small_answer() -> None:
    raw = answer("200 OK", b"Content-Length: 200000", body=bytes(200_000))
    async with staged((Whole(), raw), OK) as stage, asyncio.TaskGroup() as tasks:
        slow = User(reads=False)
        reading = tasks.create_task(stage.ask(user=slow))
        await eventually(lambda: stage.upstream.pool.idle == 1)
        assert (await stage.ask()).answered == b"ok"
        assert stage.origin.accepted == 1
        assert not reading.done()
        slow.reads.set()
        await reading
        assert len(slow.answered) == 200_000


async def test_a_slow_reader_of_a_large_answer_keeps_the_side_waiting() -> None:
    size = 32 * 1024 * 1024
    raw = answer("200 OK", b"Content-Length: %d" % size, body=bytes(size))
    async with staged((Whole(), raw)) as stage, asyncio.TaskGroup() as tasks:
        slow = User(reads=False)
        reading = tasks.create_task(stage.ask(user=slow))
        await eventually(lambda: len(slow.sent) == 2)
        assert await settled(lambda: len(slow.sent)) == 2
        assert (stage.origin.finished, stage.upstream.pool.idle) == (0, 0)
        slow.reads.set()
        await reading
        assert len(slow.answered) == size


async def test_an_early_answer_ends_the_upload_and_its_connection() -> None:
    async with staged((Until(b"abc"), answer("413 Too Large", b"Content-Length: 2", body=b"no"))) as stage:
        user = await stage.ask(question("POST", LENGTH), User(part(b"abc")))
        assert (user.status, user.answered) == (413, b"no")
        assert stage.upstream.pool.opened == 0 or stage.upstream.pool.idle == 0
        await stage.origin.until(lambda: stage.origin.open == 0)


async def test_an_upload_that_expects_it_waits_for_the_side_s_invitation() -> None:
    signals = Signals()
    script = (Until(b"\r\n\r\n"), Tell("asked"), Hear("go"), b"HTTP/1.1 100 Continue\r\n\r\n", *OK)
    async with staged(script, signals=signals) as stage, asyncio.TaskGroup() as tasks:
        user = User(part(b"abcdef", more=False))
        asking = tasks.create_task(stage.ask(question("POST", LENGTH, (b"expect", b"100-continue")), user))
        await signals["asked"].wait()
        assert await settled(lambda: user.unread) == 1  # to receive it would be to invite it
        signals["go"].set()
        await asking
        assert (user.answered, user.unread) == (b"ok", 0)


async def test_a_user_whom_the_side_turns_down_is_not_invited() -> None:
    refusal = answer("417 Expectation Failed", b"Content-Length: 2", body=b"no")
    async with staged((Until(b"\r\n\r\n"), refusal)) as stage:
        user = User(part(b"abcdef", more=False))
        unread: list[int] = []

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":  # which takes its time: the user's line is slow
                unread.append(await settled(lambda: user.unread))
            await user.send(message)

        await stage.upstream(question("POST", LENGTH, (b"expect", b"100-continue")), user.receive, send)
        assert (user.status, user.answered, unread) == (417, b"no", [1])


LEAVING: dict[str, tuple[Script, Scope, tuple[Message, ...]]] = {
    "before the answer": ((Whole(), Tell("there"), Gone()), question(), ()),
    "in mid-upload": ((Until(b"abc"), Tell("there"), Gone()), question("POST", LENGTH), (part(b"abc"),)),
    "ahead of an invitation": (
        (Until(b"\r\n\r\n"), Tell("there"), Gone()),
        question("POST", LENGTH, (b"expect", b"100-continue")),
        (part(b"abc"),),
    ),
    "in mid-answer": (
        (Whole(), answer("200 OK", b"Content-Length: 9", body=b"half"), Tell("there"), Gone()),
        question(),
        (),
    ),
}


@pytest.mark.parametrize("moment", LEAVING)
async def test_a_user_who_leaves_is_told_of_to_the_side(moment: str) -> None:
    script, scope, parts = LEAVING[moment]
    signals = Signals()
    async with staged(script, signals=signals) as stage:
        user = User(*parts)
        async with asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(failure(stage.ask(scope, user)))
            await signals["there"].wait()
            user.leave()
        assert isinstance(asking.result(), ClientLeft)


@pytest.mark.parametrize("moment", LEAVING)
async def test_a_request_that_is_cancelled_leaves_nothing(moment: str) -> None:
    script, scope, parts = LEAVING[moment]
    signals = Signals()
    async with staged(script, signals=signals) as stage:
        asking = asyncio.get_running_loop().create_task(stage.ask(scope, User(*parts)))
        await signals["there"].wait()
        asking.cancel()
        await asyncio.wait([asking])
        assert asking.cancelled()


async def test_a_request_that_is_cancelled_in_the_queue_leaves_nothing() -> None:
    signals = Signals()
    limits = Limits(connections=1)
    async with staged((Hear("go"), *OK), limits=limits, signals=signals) as stage, asyncio.TaskGroup() as tasks:
        tasks.create_task(stage.ask())
        waiting = tasks.create_task(stage.ask())
        await eventually(lambda: stage.upstream.pool.waiting == 1)
        waiting.cancel()
        await asyncio.wait([waiting])
        signals["go"].set()


async def failure(asking: Awaitable[object]) -> Exception | None:
    try:
        await asking
    except Exception as error:
        return error
    return None


async def test_a_user_who_stops_in_the_middle_of_an_upload_keeps_no_connection() -> None:
    async with staged((Until(b"abc"), *OK), limits=Limits(stall=0.05)) as stage:
        with pytest.raises(ClientStalled):
            await stage.ask(question("POST", LENGTH), User(part(b"abc")))
        await eventually(lambda: stage.upstream.pool.opened == 0)
