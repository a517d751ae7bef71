"""The servers of captive portals: they ask the lab what to answer (guestnet.world.portal decides).

On the access point's addresses: port 80 for the portal's own pages and for what clients ask of others, 443
the same over TLS with the portal's certificate, `guestnet.world.described.portal.NAMES` for names.
"""

import asyncio
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Final

from tornado.web import HTTPError

from guestnet.world.servers.http import Handler, Routes, client_of
from guestnet.world.servers.messages import AskedName, AskedPage, Name, Page

if TYPE_CHECKING:
    from guestnet.edge.dns_server import Answering, Asked

_WAITING: Final = 1024
"""Questions to the lab that are open at once; more are not answered."""

Ask = Callable[[AskedPage | AskedName], None]


class Questions:
    """What the lab was asked and has not answered yet."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[Page | Name]] = {}

    async def page(
        self, portal: str, client: str, secure: bool, method: str, host: str, path: str, body: str
    ) -> Page:
        """What ``client`` is to see. Raises HTTPError when too many wait."""
        number = next(self._numbers)
        page = await self._answer(AskedPage(number, portal, client, secure, method, host, path, body))
        if not isinstance(page, Page):
            raise HTTPError(503)
        return page

    async def name(self, portal: str, client: str, query: bytes) -> bytes | None:
        """The answer to ``query``; None when there is to be none, or too many wait."""
        name = await self._answer(AskedName(next(self._numbers), portal, client, query))
        return name.answer or None if isinstance(name, Name) else None

    async def _answer(self, asked: AskedPage | AskedName) -> Page | Name | None:
        if len(self._waiting) >= _WAITING:
            return None
        future: asyncio.Future[Page | Name] = asyncio.get_running_loop().create_future()
        self._waiting[asked.number] = future
        self._ask(asked)
        try:
            return await future
        finally:
            del self._waiting[asked.number]

    def answered(self, answer: Page | Name) -> None:
        """The lab has answered."""
        future = self._waiting.get(answer.number)
        if future is not None and not future.done():
            future.set_result(answer)


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


def names_of(portal: str, questions: Questions) -> "Answering":
    """Answers names as the lab says."""

    async def answering(asked: "Asked") -> bytes | None:
        return await questions.name(portal, asked.client, asked.wire)

    return answering
