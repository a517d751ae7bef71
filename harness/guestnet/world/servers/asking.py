"""The servers of captive portals: they ask the lab what to answer (guestnet.world.portal decides).

On the access point's addresses: port 80 for the portal's own pages and for what clients ask of others, 443
the same over TLS with the portal's certificate, `guestnet.world.described.portal.NAMES` for names.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Final

from tornado.web import HTTPError

from guestnet.world.servers.http import Handler, Routes, client_of
from guestnet.world.servers.messages import AskedName, AskedPage, Name, Page
from guestnet.world.servers.streams import show

_WAITING: Final = 1024
"""Questions to the lab that are open at once; more are not answered."""
_LARGEST: Final = 65535
_BATCH: Final = 64

Ask = Callable[[AskedPage | AskedName], None]


class Questions:
    """What the lab was asked and has not answered yet."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._numbers = count(1)
        self._pages: dict[int, asyncio.Future[Page]] = {}
        self._names: dict[int, Callable[[bytes], None]] = {}

    async def page(
        self, portal: str, client: str, secure: bool, method: str, host: str, path: str, body: str
    ) -> Page:
        """What ``client`` is to see. Raises HTTPError when too many wait."""
        if len(self._pages) >= _WAITING:
            raise HTTPError(503)
        number = next(self._numbers)
        future: asyncio.Future[Page] = asyncio.get_running_loop().create_future()
        self._pages[number] = future
        self._ask(AskedPage(number, portal, client, secure, method, host, path, body))
        try:
            return await future
        finally:
            del self._pages[number]

    def name(self, portal: str, client: str, query: bytes, reply: Callable[[bytes], None]) -> None:
        """Let ``reply`` have the answer to ``query``, empty when there is to be none."""
        if len(self._names) >= _WAITING:
            reply(b"")
            return
        number = next(self._numbers)
        self._names[number] = reply
        self._ask(AskedName(number, portal, client, query))

    def answered(self, answer: Page | Name) -> None:
        """The lab has answered."""
        if isinstance(answer, Page):
            future = self._pages.get(answer.number)
            if future is not None and not future.done():
                future.set_result(answer)
        elif (reply := self._names.pop(answer.number, None)) is not None:
            reply(answer.answer)


def _settle(answered: "asyncio.Future[bytes]", answer: bytes) -> None:
    if not answered.done():
        answered.set_result(answer)


class _Asking(Handler):
    async def _answer(self) -> None:
        request = self.request
        questions: Questions = self.settings["questions"]
        page = await questions.page(
            self.settings["server"], client_of(self), request.protocol == "https", request.method or "",
            request.host, request.uri or "/", request.body.decode(errors="replace"),
        )  # fmt: skip
        self.set_status(page.status)
        for name, value in page.headers.items():
            self.set_header(name, value)
        self.finish(page.body)

    get = head = post = put = delete = options = patch = _answer

    def compute_etag(self) -> None:
        return None


ROUTES: Final[Routes] = [(r".*", _Asking)]


class NameServer:
    """Asks the lab for each query that comes to ``datagram`` or over a connection."""

    def __init__(self, portal: str, datagram: socket.socket, questions: Questions) -> None:
        self._portal = portal
        self._socket = datagram
        self._questions = questions

    def readable(self) -> None:
        """Ask about the datagrams that have come."""
        for _ in range(_BATCH):
            try:
                query, address = self._socket.recvfrom(_LARGEST)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error for an earlier answer
                continue
            self._questions.name(self._portal, show(address), query, partial(self._send, address))

    def _send(self, to: tuple[str, int], answer: bytes) -> None:
        if not answer:
            return
        try:
            self._socket.sendto(answer, to)
        except OSError:  # a client that can't be answered any more
            return

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Ask about the queries of a connection (RFC 7766 section 8)."""
        client = show(writer.get_extra_info("peername"))
        try:
            while True:
                (length,) = struct.unpack("!H", await reader.readexactly(2))
                query = await reader.readexactly(length)
                answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
                self._questions.name(self._portal, client, query, partial(_settle, answered))
                # One after the other: who reads no answers asks no more questions.
                answer = await answered
                if not answer:
                    return
                writer.write(struct.pack("!H", len(answer)) + answer)
                await writer.drain()
        except (EOFError, OSError):  # the client has done, or is gone
            return
        finally:
            writer.close()
