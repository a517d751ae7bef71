"""The portals' servers: what they ask the lab, and what becomes of its answers."""

import asyncio
import socket
from contextlib import closing

import pytest
from tornado.web import HTTPError

from guestnet.world.servers import asking
from guestnet.world.servers.asking import NameServer, Questions
from guestnet.world.servers.messages import AskedName, AskedPage, Name, Page, shown


class Lab:
    """Keeps what it is asked."""

    def __init__(self) -> None:
        self._asked: asyncio.Queue[AskedPage | AskedName] = asyncio.Queue()
        self.questions = Questions(self._asked.put_nowait)

    async def asked(self) -> AskedPage | AskedName:
        """The next question."""
        async with asyncio.timeout(10):
            return await self._asked.get()

    @property
    def is_asked_more(self) -> bool:
        return not self._asked.empty()


async def _stream(lab: Lab) -> tuple[asyncio.Server, asyncio.StreamReader, asyncio.StreamWriter]:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as unused:
        names = NameServer("hotel", unused, lab.questions)
    server = await asyncio.start_server(names.connected, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    return server, reader, writer


async def _end(server: asyncio.Server, writer: asyncio.StreamWriter) -> None:
    writer.close()
    server.close()
    await server.wait_closed()
    # The server's end of the connection sees the end of it.
    for _ in range(10):
        await asyncio.sleep(0)


def test_queries_of_a_connection_are_asked_one_after_the_other() -> None:
    """Else who never reads an answer would fill the memory with them."""

    async def main() -> None:
        lab = Lab()
        server, reader, writer = await _stream(lab)
        writer.write(b"\x00\x03one\x00\x03two")
        first = await lab.asked()
        for _ in range(20):
            await asyncio.sleep(0)
        assert not lab.is_asked_more

        lab.questions.answered(Name(first.number, b"eins"))
        second = await lab.asked()
        lab.questions.answered(Name(second.number, b"zwei"))
        assert [each.query for each in (first, second) if isinstance(each, AskedName)] == [b"one", b"two"]
        assert await reader.readexactly(12) == b"\x00\x04eins\x00\x04zwei"
        await _end(server, writer)

    asyncio.run(main())


def test_what_gets_no_answer_ends_the_connection() -> None:
    async def main() -> None:
        lab = Lab()
        server, reader, writer = await _stream(lab)
        writer.write(b"\x00\x03odd")
        lab.questions.answered(Name((await lab.asked()).number, b""))
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        await _end(server, writer)

    asyncio.run(main())


def test_more_questions_than_the_lab_is_to_have_are_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "_WAITING", 1)

    async def main() -> None:
        lab, answers = Lab(), list[bytes]()
        lab.questions.name("hotel", "10.0.0.2:1", b"one", answers.append)
        lab.questions.name("hotel", "10.0.0.2:1", b"two", answers.append)
        assert answers == [b""]
        lab.questions.answered(Name((await lab.asked()).number, b"eins"))
        assert answers == [b"", b"eins"]

        page = asyncio.create_task(lab.questions.page("hotel", "10.0.0.2:2", False, "GET", "a", "/", ""))
        asked = await lab.asked()
        async with asyncio.timeout(10):
            with pytest.raises(HTTPError):
                await lab.questions.page("hotel", "10.0.0.2:2", False, "GET", "a", "/", "")
        lab.questions.answered(Page(asked.number, 302))
        assert (await page).status == 302

    asyncio.run(main())


def test_an_answer_that_nobody_waits_for_is_passed_over() -> None:
    questions = Questions(lambda asked: None)
    questions.answered(Name(7, b"late"))
    questions.answered(Page(8, 200))


def test_the_access_log_has_a_short_request_whole_and_of_a_long_one_the_beginning() -> None:
    assert shown("GET /") == "GET /"
    assert shown("a" * 2000) == "a" * 2000
    assert shown("a" * 2001) == "a" * 2000 + "…"
