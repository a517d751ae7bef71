"""A machine that commands run on, a guest or a host of the world, and what one does with it.

The verbs use ordinary tools of the machine (dig, curl, ping, ip, perl), so they see what any program there
sees. Each returns a value of `guestnet.scenario.results`, also when the network fails: only a tool that
is missing or breaks is an error.
"""

import json
import math
import shlex
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Final, Literal, get_args

import dns.rdatatype
import msgspec

from guestnet.core.errors import DescriptionError, GuestError, GuestnetError
from guestnet.lab.process.python import python_path
from guestnet.lab.requests.protocol import RunOn
from guestnet.lab.requests.request import Request
from guestnet.scenario import reading, web
from guestnet.scenario.matchers import endpoint
from guestnet.scenario.matchers.endpoint import Endpoint
from guestnet.scenario.observer import Duration, Observer, in_seconds
from guestnet.scenario.results import Address, Answer, Attempt, Exchange, Offer, Page, Ping, Ran, Transfer
from guestnet.scenario.verbs import verb
from guestnet.system import programs

GRACE: Final = 20.0
"""Seconds that a tool gets beyond the time it was told to take."""

_NOT_FOUND: Final = 127
_NTP: Final = 123

Family = Literal[0, 4, 6]
"""Of the addresses of a name: IPv4, IPv6, or 0 for what it has; an address has its own."""


@cache
def _sockets_script() -> bytes:
    return files("guestnet.scenario").joinpath("sockets.pl").read_bytes()


class Machine(ABC):
    """Runs commands and does with the network what a program on it would."""

    def __init__(self, name: str, observer: Observer) -> None:
        self.name = name
        self._observer = observer

    @abstractmethod
    def _request(self, command: str | list[str], timeout: float, data: bytes) -> Request[Ran]:
        """What asks the lab to run ``command`` on this machine."""

    @verb
    def run(
        self, command: str | Sequence[str], *, timeout: Duration = 30.0, check: bool = False,
        input: bytes | str = b"",  # noqa: A002
    ) -> Ran:  # fmt: skip
        """Run ``command``: a text in the machine's shell, a list as it is. ``input`` is its standard input.

        Raises GuestError when it has not ended after ``timeout`` seconds, and with ``check`` when its
        status is not 0.
        """
        return self._run(command, timeout=timeout, check=check, data=input)

    def _run(
        self, command: str | Sequence[str], *, timeout: Duration, check: bool = False, data: bytes | str = b""
    ) -> Ran:
        data = data.encode() if isinstance(data, str) else data
        whole = command if isinstance(command, str) else list(command)
        ran = self._observer.call(self._request(whole, in_seconds(timeout), data))
        if check and not ran.ok:
            said = ran.stderr.strip() or ran.stdout.strip() or "it said nothing"
            raise GuestError(f"{ran.command!r} on {self.name} ended with status {ran.status}", remedy=said)
        return ran

    # Names

    @verb
    def resolve(
        self,
        name: str,
        rdtype: str = "A",
        *,
        server: str | None = None,
        tcp: bool = False,
        timeout: Duration = 10.0,
    ) -> Answer:
        """Ask the machine's resolver, or ``server``, for ``name``, for about ``timeout``."""
        _check_rdtype(rdtype)
        patience = in_seconds(timeout)
        words = ["dig", "+noall", "+comments", "+answer", "+stats", "+tries=2"]
        words += [f"+timeout={max(1, math.ceil(patience / 2))}", "+tcp" if tcp else "+notcp"]
        words += [] if server is None else [f"@{server}"]
        ran = self._tool([*words, "-q", name, "-t", rdtype], patience)
        return reading.answer(name, rdtype, ran.stdout)

    # Sockets

    @verb
    def connect(self, host: str, port: int, *, timeout: Duration = 10.0, family: Family = 4) -> Attempt:
        """A TCP connect to ``host``, a name or an address; closed at once when it succeeds."""
        _, told = self._sockets("connect", host, port, timeout, family)
        return Attempt(
            host=host, port=port, error=told.error, local=told.local, remote=told.remote,
            seconds=told.seconds, detail=told.detail,
        )  # fmt: skip

    @verb
    def half_close(
        self, host: str, port: int, payload: bytes | str, *, timeout: Duration = 30.0, family: Family = 4
    ) -> Exchange:
        """Connect, send ``payload``, shut down the sending side, read to the end (RFC 9293 3.6).

        Also when the other side ends first, all of it is sent, as long as the other side takes it.
        """
        whole = payload.encode() if isinstance(payload, str) else payload
        reply, told = self._sockets("half-close", host, port, timeout, family, whole)
        sent = whole[: told.sent]
        return Exchange(sent=sent, reply=reply, error=told.error, local=told.local, seconds=told.seconds)

    @verb
    def udp_echo(
        self, host: str, port: int, payload: bytes | str, *, timeout: Duration = 5.0, family: Family = 4
    ) -> bytes | None:
        """Send a datagram; the one that comes back, or None when none does within ``timeout`` seconds."""
        sent = payload.encode() if isinstance(payload, str) else payload
        reply, told = self._sockets("udp", host, port, timeout, family, sent)
        return None if told.error else reply

    @verb
    def udp_send(self, host: str, port: int, payload: bytes | str, *, family: Family = 4) -> Endpoint:
        """Send a datagram and wait for nothing; the end that it was sent from.

        Raises GuestError when it could not be sent.
        """
        sent = payload.encode() if isinstance(payload, str) else payload
        _, told = self._sockets("udp-send", host, port, 5.0, family, sent)
        if told.error or told.local is None:
            remedy = told.error + (f" ({told.detail})" if told.detail else "")
            raise GuestError(f"{self.name} could not send to {host} port {port}", remedy=remedy)
        return told.local

    def _sockets(
        self, verb: str, host: str, port: int, timeout: Duration, family: Family, data: bytes = b""
    ) -> tuple[bytes, reading.Told]:
        # The script comes by standard input, before the data: so the journal shows a readable command.
        number, patience = endpoint.port(port), in_seconds(timeout)
        words = ["perl", "-", verb, host, str(number), f"{patience:g}", str(_family_of(host, family))]
        ran = self._tool(words, patience, _sockets_script() + b"__END__\n" + data)
        return ran.stdout_bytes, reading.Told(ran.stderr)

    # Transfers

    @verb
    def fetch(
        self, url: str, *, data: dict[str, str] | None = None, proxy: str = "", trust: str = "", to: str = "",
        timeout: Duration = 20.0, family: Family = 4,
    ) -> Page:  # fmt: skip
        """GET ``url``, or POST ``data`` to it as a form does; no redirect is followed.

        ``proxy`` is a URL, with user and password if it wants them. ``trust``: the PEM of the authorities to
        trust instead of the machine's own. ``to``: connect there, whatever address the name has.
        """
        web.check_url(url)
        options = ["--connect-to", f"::{to}:"] if to else []
        options += ["--cacert", "/proc/self/fd/0"] if trust else []
        options += ["--data", ""] if data == {} else []
        for name, value in (data or {}).items():
            options += ["--data-urlencode", f"{name}={value}"]
        patience = in_seconds(timeout)
        words = web.curl(url, *options, timeout=patience, family=_family_of(url, family), proxy=proxy)
        body, told = self._curl(shlex.join(words), patience, trust.encode())
        return Page(url=url, status=told.status, body=body, headers=told.headers, error=told.error)

    @verb
    def download(
        self, url: str, *, size: int | str | None = None, timeout: Duration = 60.0, family: Family = 4,
        proxy: str = "",
    ) -> Transfer:  # fmt: skip
        """GET ``url``, or with ``size`` (octets or "10MiB") that many octets of the host called ``url``.

        The server of a world says the SHA-256 of what it sends (X-Sha256), so ``intact`` is proven.
        ``proxy`` is a URL.
        """
        target = _url(url) if size is None else f"{_url(url).rstrip('/')}/size/{reading.size(size)}"
        patience = in_seconds(timeout)
        words = web.curl(
            target, "--location", timeout=patience, family=_family_of(target, family), proxy=proxy
        )
        digest, told = self._curl(f"{shlex.join(words)} | sha256sum", patience)
        return _transfer(target, told, "size_download", digest.decode(), told.headers.get("x-sha256", ""))

    @verb
    def upload(self, url: str, *, size: int | str, timeout: Duration = 60.0, family: Family = 4) -> Transfer:
        """PUT ``size`` random octets (a number or "10MiB") to ``url``, or to the host of that name.

        The server of a world answers with the SHA-256 of what it got, so ``intact`` is proven.
        """
        target = _url(url)
        patience = in_seconds(timeout)
        options = ("--location", "--header", "Expect:")
        words = web.curl(target, *options, timeout=patience, family=_family_of(target, family))
        script = (
            'body=$(mktemp) || exit 1; trap \'rm -f "$body"\' EXIT; '
            f'head -c {reading.size(size)} /dev/urandom >"$body" && sha256sum <"$body"; '
            f'{shlex.join(words)} --upload-file "$body"'
        )
        printed, told = self._curl(script, patience)
        digest, _, answer = printed.decode(errors="replace").partition("\n")
        try:
            expected = str(json.loads(answer).get("sha256", ""))
        except (ValueError, AttributeError):
            expected = ""
        return _transfer(target, told, "size_upload", digest, expected)

    def _curl(self, script: str, timeout: float, data: bytes = b"") -> tuple[bytes, web.Told]:
        """What ``script``, which has a `web.curl` in it, printed, and what that told."""
        ran = self._run(script, timeout=timeout + GRACE, data=data)
        told = web.told(ran.stderr)
        if told is None:
            if "not found" in ran.stderr:
                raise self._lacks("curl")
            raise GuestError(f"curl on {self.name} failed", remedy=ran.stderr.strip() or "it said nothing")
        return ran.stdout_bytes, told

    # The rest

    @verb
    def ping(
        self, host: str, *, count: int = 3, interval: Duration = 0.2, timeout: Duration = 2.0, size: int = 56,
        family: Family = 4,
    ) -> Ping:  # fmt: skip
        """``count`` pings of ``size`` octets, one every ``interval`` seconds; ``timeout`` for each answer."""
        if count < 1 or not 0 <= size <= 65507:
            raise DescriptionError(
                f"{count} pings of {size} octets can't be", remedy="send 1 or more, of 0 to 65507 octets"
            )
        pause, patience = in_seconds(interval), in_seconds(timeout)
        version = _family_of(host, family)
        words = ["ping", "-n", *([f"-{version}"] if version else []), "-c", str(count)]
        words += ["-i", f"{pause:g}", "-W", f"{patience:g}", "-s", str(size), host]
        ran = self._tool(words, count * pause + patience)
        if not ran.stdout.strip():
            return Ping(host=host, sent=0, received=0, errors=[ran.stderr.strip()])
        return reading.ping(host, ran.stdout)

    @verb
    def ntp(self, host: str, *, timeout: Duration = 5.0) -> int | None:
        """The time that an NTP server on ``host`` tells, in ns since the epoch; None when none answers."""
        reply = self.udp_echo(host, _NTP, reading.NTP_REQUEST, timeout=timeout)
        return None if reply is None else reading.ntp(reply)

    @verb
    def addresses(self, interface: str | None = None) -> list[Address]:
        """Addresses of all interfaces, or of one."""
        found = reading.addresses(self._tool(["ip", "-json", "address"], 5.0, check=True).stdout)
        return [one for one in found if interface in (None, one.interface)]

    def _tool(self, words: list[str], timeout: float, data: bytes = b"", *, check: bool = False) -> Ran:
        """Run a tool that every machine should have; says so when it has not."""
        # By the shell, whose way to say that there is no such tool is the same everywhere.
        ran = self._run(shlex.join(words), timeout=timeout + GRACE, data=data)
        if ran.status == _NOT_FOUND and "not found" in ran.stderr:
            raise self._lacks(words[0])
        if check and not ran.ok:
            raise GuestError(
                f"{words[0]} on {self.name} ended with status {ran.status}", remedy=ran.stderr.strip()
            )
        return ran

    @abstractmethod
    def _lacks(self, tool: str) -> GuestnetError:
        """The error that it has no ``tool``."""

    def _called(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


class Host(Machine):
    """A host of the world: the laptop, a server. Its tools are those of the machine that the lab runs on."""

    def _request(self, command: str | list[str], timeout: float, data: bytes) -> Request[Ran]:
        return RunOn(host=self.name, command=command, timeout=timeout, input=data)

    def _lacks(self, tool: str) -> GuestnetError:
        return programs.missing(tool)

    @verb
    def dhcp(self, interface: str, *, within: Duration = 5.0) -> Offer | None:
        """What a DHCP server on the link of ``interface`` offers; None when none does ``within`` seconds.

        Nothing is taken: the host keeps its addresses.
        """
        # Commands on hosts get nothing of our Python's environment; this one is of ours.
        python = ["env", f"PYTHONPATH={python_path()}", sys.executable, "-P"]
        patience = in_seconds(within)
        words = [*python, "-m", "guestnet.world.portal.probe", interface, f"{patience:g}"]
        ran = self._run(words, timeout=patience + GRACE)
        if not ran.ok and ran.stderr.strip():
            raise GuestError(f"{self.name} could not ask on {interface}", remedy=ran.stderr.strip())
        return msgspec.json.decode(ran.stdout_bytes, type=Offer) if ran.ok else None


def _url(text: str) -> str:
    url = text if "://" in text else f"http://{f'[{text}]' if text.count(':') > 1 else text}/"
    web.check_url(url)
    return url


def _check_rdtype(rdtype: str) -> None:
    # dig takes a type that it does not know for A.
    try:
        dns.rdatatype.from_text(rdtype)
    except (dns.rdatatype.UnknownRdatatype, ValueError):
        remedy = "write one that DNS has, as AAAA or MX"
        raise DescriptionError(f"{rdtype!r} is no type of records", remedy=remedy) from None


def _family_of(host: str, family: Family) -> Family:
    """``family``, but of an address its own; ``host`` may be a URL, which has IPv6 addresses in brackets."""
    if family not in get_args(Family):
        raise DescriptionError(f"there is no family {family!r}", remedy="give 4, 6, or 0 for either")
    is_ipv6 = "//[" in host or ("//" not in host and host.count(":") > 1)
    return 6 if is_ipv6 else family


def _transfer(url: str, told: web.Told, size: str, digest: str, expected: str) -> Transfer:
    """``digest`` is as sha256sum prints it."""
    return Transfer(
        url=url, status=told.status, bytes=int(told.values[size]), sha256=digest.partition(" ")[0],
        expected=expected, seconds=float(told.values["time_total"]), error=told.error,
        local=told.end("local"), remote=told.end("remote"),
    )  # fmt: skip
