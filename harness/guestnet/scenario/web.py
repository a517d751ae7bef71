"""One HTTP request by curl: its words, and what it printed, read."""

from typing import Final
from urllib.parse import urlsplit

from guestnet.core.errors import DescriptionError
from guestnet.scenario.matchers import endpoint
from guestnet.scenario.results import Page, Ran

BUNDLE: Final = "/etc/ssl/certs/ca-certificates.crt"
"""Where curl and others on Debian find the authorities that they trust."""

_END_OF_HEAD: Final = b"\r\n\r\n"
_CONTINUE: Final = 199
"""Up to this, a status is not the last one (RFC 9110 section 15.2)."""


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


def curl(
    url: str,
    *,
    data: dict[str, str] | None,
    proxy: str,
    trusts_input: bool,
    to: str,
    timeout: float,
    family: int,
) -> list[str]:
    """The command for `guestnet.scenario.machine.Machine.fetch`; with ``trusts_input`` the authorities come
    by standard input."""
    words = ["curl", "--silent", "--show-error", "--globoff", "--include", "--suppress-connect-headers"]
    words += ["--max-time", f"{timeout:g}"]
    words += [] if not family else [f"--ipv{family}"]
    words += [] if not proxy else ["--proxy", proxy]
    words += [] if not to else ["--connect-to", f"::{to}:"]
    words += [] if not trusts_input else ["--cacert", "/proc/self/fd/0"]
    words += ["--data", ""] if data == {} else []
    for name, value in (data or {}).items():
        words += ["--data-urlencode", f"{name}={value}"]
    return [*words, url]


def read(url: str, ran: Ran) -> Page:
    """What `curl` printed."""
    error = "" if ran.ok else ran.stderr.strip() or f"curl ended with {ran.status}"
    status, headers, rest = 0, dict[str, str](), ran.stdout_bytes
    while rest.startswith(b"HTTP/") and status <= _CONTINUE:
        head, _, rest = rest.partition(_END_OF_HEAD)
        first, *lines = head.decode(errors="replace").splitlines()
        status = int(first.split()[1])
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
    return Page(url=url, status=status, body=rest, headers=headers, error=error)
