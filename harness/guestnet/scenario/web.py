"""One HTTP request by curl: its words, and what it told, read."""

import json
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import urlsplit

from guestnet.core.errors import DescriptionError
from guestnet.scenario.matchers import endpoint
from guestnet.scenario.matchers.endpoint import Endpoint

BUNDLE: Final = "/etc/ssl/certs/ca-certificates.crt"
"""Where curl and others on Debian find the authorities that they trust."""

_TELL: Final = "%{stderr}%{json}%{header_json}"
"""For ``--write-out``; since curl 7.83."""


def check_url(url: str) -> None:
    """Raise DescriptionError unless ``url`` is one of HTTP, with a port that there is if it has one."""
    try:
        parts = urlsplit(url)
        number = parts.port
    except ValueError as error:
        remedy = 'write it as "http://shop.example:8080/"'
        raise DescriptionError(f"{url!r} is no URL ({error})", remedy=remedy) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        remedy = 'write it as "http://shop.example/" or "https://shop.example/"'
        raise DescriptionError(f"{url!r} is no URL of HTTP", remedy=remedy)
    if number is not None:
        endpoint.port(number)


def curl(url: str, *options: str, timeout: float, family: int, proxy: str = "") -> list[str]:
    """The command for one request: the body on standard output, on standard error what `told` reads."""
    words = ["curl", "--silent", "--globoff", "--max-time", f"{timeout:g}", "--write-out", _TELL]
    words += [] if not family else [f"--ipv{family}"]
    words += [] if not proxy else ["--proxy", proxy]
    return [*words, *options, url]


class Told(NamedTuple):
    """What curl told of a request: the values of its ``%{json}``, and the last response's headers.

    The names of headers are in small letters; of several of a name, the last.
    """

    values: dict[str, Any]
    headers: dict[str, str]

    @property
    def error(self) -> str:
        """As curl says it when it failed, "curl: (28) Connection timed out"; "" when it did not."""
        status = self.values["exitcode"]
        return f"curl: ({status}) {self.values.get('errormsg') or 'no words'}" if status else ""

    @property
    def status(self) -> int:
        """Of HTTP; 0 when there was no answer."""
        return int(self.values["http_code"])

    def end(self, side: Literal["local", "remote"]) -> Endpoint | None:
        """That end of the connection; None when there was none."""
        port = self.values.get(f"{side}_port")
        return Endpoint(str(self.values[f"{side}_ip"]), int(port)) if port else None


def told(text: str) -> Told | None:
    """From what curl wrote to standard error; None when it did not get that far."""
    decoder, start = json.JSONDecoder(), text.find("{")
    try:
        values, end = decoder.raw_decode(text, start)
        headers, _ = decoder.raw_decode(text, text.index("{", end))
    except ValueError:
        return None
    return Told(values, {name.lower(): each[-1] for name, each in headers.items()})
