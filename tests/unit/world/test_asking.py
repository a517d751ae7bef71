"""The portals' servers: what they ask the lab, and what becomes of its answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dns.message
import pytest
from tornado.web import HTTPError

from guestnet.edge.dns_server import DnsServer, bind
from guestnet.wire.dns import framed, octets
from guestnet.world.servers import asking
from guestnet.world.servers.asking import Questions, names_of
from guestnet.world.servers.messages import AskedName, AskedPage, Name, Page
from guestnet.world.servers.reports import shown


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


@asynccontextmanager
async def _portal(lab: Lab) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to the name server of portal "hotel"."""
    server = DnsServer(names_of("hotel", lab.questions), [bind("127.0.0.1", 0)])
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        async with asyncio.timeout(20):
            yield reader, writer
    finally:
        writer.close()
        await server.close()


def _query(name: str) -> bytes:
    return dns.message.make_query(name, "A").to_wire()


def test_queries_of_a_connection_are_asked_one_after_the_other() -> None:
    """Else who never reads an answer would fill the memory with them."""

    async def main() -> None:
        lab = Lab()
        queries = [_query("one.example"), _query("two.example")]
        async with _portal(lab) as (reader, writer):
            writer.write(b"".join(map(framed, queries)))
            for query in queries:
                asked = await lab.asked()
                assert isinstance(asked, AskedName)
                assert (asked.portal, asked.query) == ("hotel", query)
                assert asked.client.startswith("127.0.0.1:")
                for _ in range(20):
                    await asyncio.sleep(0)
                assert not lab.is_asked_more
                answer = octets(dns.message.make_response(dns.message.from_wire(query)))
                lab.questions.answered(Name(asked.number, answer))
                assert await reader.readexactly(len(answer) + 2) == framed(answer)

    asyncio.run(main())


def test_what_gets_no_answer_ends_the_connection() -> None:
    async def main() -> None:
        lab = Lab()
        async with _portal(lab) as (reader, writer):
            writer.write(framed(_query("odd.example")))
            lab.questions.answered(Name((await lab.asked()).number, b""))
            assert await reader.read() == b""

    asyncio.run(main())


def test_more_questions_than_the_lab_is_to_have_are_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "_WAITING", 1)

    async def main() -> None:
        lab = Lab()
        name = asyncio.create_task(lab.questions.name("hotel", "10.0.0.2:1", b"one"))
        asked = await lab.asked()
        assert await lab.questions.name("hotel", "10.0.0.2:1", b"two") is None
        lab.questions.answered(Name(asked.number, b"eins"))
        assert await name == b"eins"

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
