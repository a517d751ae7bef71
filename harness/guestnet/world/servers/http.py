"""The web server of a world, with TLS or without.

- ``GET /`` a small page that names the server
- ``GET /generate_204`` nothing, with status 204: what machines ask to find captive portals
- ``GET /size/N`` N bytes of `content` (at most 64 GiB), with their SHA-256 in ``X-Sha256``
- ``PUT`` or ``POST`` anywhere: ``{"sha256": …, "size": …}`` of the body
- ``GET /delay/S`` the page after S seconds (at most 300)
- ``GET /status/N`` an answer of status N
- ``GET /drip/N/R`` N bytes of `content`, R of them a second
- ``GET /reset/N`` says that it sends twice N bytes, sends N of them, then an RST
- ``GET /headers`` the request's headers and the client's address, as JSON
"""

import asyncio
import hashlib
import re
import socket
import ssl
from collections.abc import Iterator, Sequence
from typing import Any, Final

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerRequest
from tornado.iostream import StreamClosedError
from tornado.web import Application, HTTPError, RequestHandler, stream_request_body

from guestnet.core.endpoint import show_endpoint
from guestnet.world.servers.access import Log
from guestnet.world.servers.broken import reset_when_sent, wait_until_sent
from guestnet.world.servers.content import BLOCK, blocks, content, digest

BODY_LIMIT: Final = 1 << 40
"""Of what nobody keeps: a body that is read as it comes."""
_KEPT_LIMIT: Final = 1 << 16
"""Of a body that is read as a whole."""
_SIZE_LIMIT: Final = 1 << 36
_AT_ONCE: Final = 1 << 22
"""The digest of more octets takes so long that it is a thread's work."""
_DELAY_LIMIT: Final = 300.0
_DRIPS: Final = 20
"""In a second, unless a byte is more than that."""
_RESET_LIMIT: Final = 16 << 20
_WHOLE_URL: Final = re.compile(r"https?://([^/?#]*)([^#]*).*", re.IGNORECASE)

Routes = Sequence[tuple[str, type[RequestHandler]]]
"""Regular expressions of paths, and what answers to these."""


class Handler(RequestHandler):
    """Answers to requests of any kind of HTTP server here."""

    def set_default_headers(self) -> None:
        self.set_header("Server", f"guestnet/{self.settings['server']}")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{status_code} {self._reason}\n")


@stream_request_body
class _Page(Handler):
    """Any path: a small page to read, and a place to send bodies to."""

    def prepare(self) -> None:
        connection: Any = self.request.connection
        connection.set_max_body_size(BODY_LIMIT)
        self._sha256 = hashlib.sha256()
        self._size = 0

    def data_received(self, chunk: bytes) -> None:
        self._sha256.update(chunk)
        self._size += len(chunk)

    def get(self) -> None:
        if self.request.path != "/":
            raise HTTPError(404)
        self.set_header("Content-Type", "text/html; charset=utf-8")
        name = self.settings["server"]
        self.finish(f"<!doctype html>\n<title>{name}</title>\n<h1>This is {name}.</h1>\n")

    head = get

    def put(self) -> None:
        self.finish({"sha256": self._sha256.hexdigest(), "size": self._size})

    post = put


class _Size(Handler):
    async def get(self, size: str) -> None:
        await self._describe(int(size))
        for block in blocks(int(size)):
            self.write(block)
            try:
                await self.flush()
            except StreamClosedError:
                return
        self.finish()

    async def head(self, size: str, rate: str = "") -> None:
        await self._describe(int(size))
        self.finish()

    async def _describe(self, size: int) -> None:
        if size > _SIZE_LIMIT:
            raise HTTPError(400, reason=f"At most {_SIZE_LIMIT} bytes")
        sha256 = digest(size) if size <= _AT_ONCE else await asyncio.to_thread(digest, size)
        self.set_header("Content-Type", "application/octet-stream")
        self.set_header("Content-Length", size)
        self.set_header("X-Sha256", sha256)

    def compute_etag(self) -> None:
        return None


class _Delay(Handler):
    async def get(self, seconds: str) -> None:
        if float(seconds) > _DELAY_LIMIT:
            raise HTTPError(400, reason=f"At most {_DELAY_LIMIT:.0f} seconds")
        await asyncio.sleep(float(seconds))
        self.finish(f"after {seconds} s\n")


class _Status(Handler):
    def get(self, status: str) -> None:
        if not 200 <= int(status) <= 599:
            raise HTTPError(400, reason="A status is 200 to 599")
        self.set_status(int(status))
        self.finish()


class _NoContent(Handler):
    def get(self) -> None:
        self.set_status(204)
        self.finish()


class _Drip(_Size):
    async def get(self, size: str, rate: str = "0") -> None:
        if not int(rate):
            raise HTTPError(400, reason="At least a byte a second")
        await self._describe(int(size))
        for drop in _drops(int(size), max(1, int(rate) // _DRIPS)):
            self.write(drop)
            try:
                await self.flush()
            except StreamClosedError:
                return
            await asyncio.sleep(len(drop) / int(rate))
        self.finish()


class _Reset(Handler):
    async def get(self, size: str) -> None:
        if int(size) > _RESET_LIMIT:
            raise HTTPError(400, reason=f"At most {_RESET_LIMIT} bytes")
        self._log()
        stream: Any = self.detach()
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {2 * int(size)}\r\n\r\n"
        connected = stream.socket
        try:
            await stream.write(head.encode() + content(int(size)))
            reset_when_sent(connected)
        except (StreamClosedError, OSError):  # the client is gone
            return
        await wait_until_sent(connected)
        stream.close()


def _drops(size: int, largest: int) -> Iterator[bytes]:
    for block in blocks(size):
        for start in range(0, len(block), min(largest, BLOCK)):
            yield block[start : start + largest]


class _Headers(Handler):
    def get(self) -> None:
        self.finish({"client": client_of(self), "headers": dict(self.request.headers.get_all())})


def client_of(handler: RequestHandler) -> str:
    """Address and port of the client, "192.168.1.10:40000"."""
    connection: Any = handler.request.connection
    address, port, *_ = connection.context.address
    return show_endpoint(address, port)


PAGES: Final[Routes] = [
    (r"/size/(\d{1,13})", _Size),
    (r"/delay/(\d+(?:\.\d+)?)", _Delay),
    (r"/status/(\d{3})", _Status),
    (r"/generate_204", _NoContent),
    (r"/drip/(\d{1,13})/(\d{1,13})", _Drip),
    (r"/reset/(\d{1,13})", _Reset),
    (r"/headers", _Headers),
    (r"/.*", _Page),
]


class _Site(Application):
    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        """Who takes us for a proxy asks for a whole URL, and gets its page (RFC 9112 section 3.2.2)."""
        if found := _WHOLE_URL.fullmatch(request.uri or ""):
            request.host = found[1]
            request.uri = found[2] if found[2].startswith("/") else f"/{found[2]}"
            request.path, _, request.query = request.uri.partition("?")
        return super().find_handler(request, **kwargs)


def serve_http(
    name: str,
    listening: socket.socket,
    log: Log,
    *,
    routes: Routes = PAGES,
    tls: ssl.SSLContext | None = None,
    **settings: Any,
) -> HTTPServer:
    """Serve ``routes`` on ``listening`` under the running event loop, over TLS when given; handlers have the
    ``settings``."""

    def log_request(handler: RequestHandler) -> None:
        request = handler.request
        log(name, client_of(handler), f"{request.method} {request.uri}", str(handler.get_status()))

    application = _Site(list(routes), server=name, log_function=log_request, **settings)
    server = HTTPServer(application, max_body_size=_KEPT_LIMIT, ssl_options=tls)
    server.add_sockets([listening])
    return server
