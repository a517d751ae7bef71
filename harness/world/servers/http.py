"""The web server of a world.

- ``GET /`` a small page that names the server
- ``GET /size/N`` N bytes of `content`, with their SHA-256 in ``X-Sha256``
- ``PUT`` or ``POST`` anywhere: ``{"sha256": …, "size": …}`` of the body
- ``GET /delay/S`` the page after S seconds (at most 300)
- ``GET /status/N`` an answer of status N
- ``GET /headers`` the request's headers and the client's address, as JSON
"""

import asyncio
import hashlib
import socket
from collections.abc import Callable
from typing import Any, Final

from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError
from tornado.web import Application, HTTPError, RequestHandler, stream_request_body

from harness.world.servers.content import blocks, digest

BODY_LIMIT: Final = 1 << 40
_DELAY_LIMIT: Final = 300.0

Log = Callable[[str, str, str, str], None]
"""Called with server, client, request and status when a request was answered."""


class _Handler(RequestHandler):
    def set_default_headers(self) -> None:
        self.set_header("Server", f"guestnet/{self.settings['server']}")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{status_code} {self._reason}\n")


@stream_request_body
class _Page(_Handler):
    """Any path: a small page to read, and a place to send bodies to."""

    def prepare(self) -> None:
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


class _Size(_Handler):
    async def get(self, size: str) -> None:
        self._describe(int(size))
        for block in blocks(int(size)):
            self.write(block)
            try:
                await self.flush()
            except StreamClosedError:
                return
        self.finish()

    def head(self, size: str) -> None:
        self._describe(int(size))
        self.finish()

    def _describe(self, size: int) -> None:
        self.set_header("Content-Type", "application/octet-stream")
        self.set_header("Content-Length", size)
        self.set_header("X-Sha256", digest(size))

    def compute_etag(self) -> None:
        return None


class _Delay(_Handler):
    async def get(self, seconds: str) -> None:
        if float(seconds) > _DELAY_LIMIT:
            raise HTTPError(400, reason=f"At most {_DELAY_LIMIT:.0f} seconds")
        await asyncio.sleep(float(seconds))
        self.finish(f"after {seconds} s\n")


class _Status(_Handler):
    def get(self, status: str) -> None:
        if not 200 <= int(status) <= 599:
            raise HTTPError(400, reason="A status is 200 to 599")
        self.set_status(int(status))
        self.finish()


class _Headers(_Handler):
    def get(self) -> None:
        self.finish({"client": client_of(self), "headers": dict(self.request.headers.get_all())})


def client_of(handler: RequestHandler) -> str:
    """Address and port of the client, "192.168.1.10:40000"."""
    connection: Any = handler.request.connection
    address, port, *_ = connection.context.address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def serve_http(name: str, listening: socket.socket, log: Log) -> HTTPServer:
    """Serve on ``listening`` under the running event loop."""

    def log_request(handler: RequestHandler) -> None:
        request = handler.request
        log(name, client_of(handler), f"{request.method} {request.uri}", str(handler.get_status()))

    application = Application(
        [
            (r"/size/(\d{1,13})", _Size),
            (r"/delay/(\d+(?:\.\d+)?)", _Delay),
            (r"/status/(\d{3})", _Status),
            (r"/headers", _Headers),
            (r"/.*", _Page),
        ],
        server=name,
        log_function=log_request,
    )
    server = HTTPServer(application, max_body_size=BODY_LIMIT)
    server.add_sockets([listening])
    return server
