"""The filter language: which frames a rule is about.

::

    filter   = both { "or" both }
    both     = negated { [ "and" ] negated }            side by side means "and"
    negated  = "not" negated | "(" filter ")" | term
    term     = WORD | end | field relation NUMBER | "name" DOMAIN
    end      = [ "from" | "to" ] place                  without either: at one end or the other
    place    = "port" ports | ":" ports | MAC | [ "host" | "net" ] address
    address  = ( IPV4 [ "/" LENGTH ] | "[" IPV6 [ "/" LENGTH ] "]" ) [ ":" ports ] | IPV6 [ "/" LENGTH ]
    ports    = NUMBER [ "-" NUMBER ]
    field    = "size" | "length" | "ttl" | "dscp" | "ecn" | "window"
    relation = "=" | "!=" | "<" | "<=" | ">" | ">="

========================  ==============================================================================
``arp ip ipv4 ipv6``      by ethertype; ``ip`` is either version
``tcp udp icmp icmpv6``   by protocol
``dns dhcp dhcpv6``       UDP (``dns`` also TCP) by its ports
``syn``                   TCP with SYN and without ACK; ``syn-ack`` with both
``fin rst psh urg``       TCP with this flag; ``ece``, ``cwr`` too
``data``                  TCP with a payload; ``ack`` without one, and no SYN, FIN or RST
``echo-request``          of ICMP or ICMPv6; ``echo-reply``, ``unreachable``, ``time-exceeded`` too
``frag-needed``           ICMP type 3 code 4; ``packet-too-big`` of ICMPv6; ``too-big`` is either
``router-solicitation``   of ICMPv6, as are ``router-advertisement``, ``neighbour-solicitation`` and
                          ``neighbour-advertisement``
``dhcp-discover``         DHCP by its message type: ``-offer -request -decline -ack -nak -release -inform``
``query answer``          DNS: question or answer. ``name shop.example``: a question about this name
``fragment``              a piece of an IP packet
``broadcast multicast``   by the ethernet destination; a broadcast is no ``multicast`` here
========================  ==============================================================================

``size`` is that of the frame in octets, ``length`` the payload of TCP or UDP. "tcp syn-ack to :443", "udp
port 53", "tcp rst from 203.0.113.0/24", "ipv6 and not icmpv6", "tcp data size > 1400". Case does not matter.
"""

import re
from ipaddress import ip_network
from typing import Final

from guestnet.core.errors import DescriptionError
from guestnet.core.port import Frame
from guestnet.link.filter import terms
from guestnet.link.filter.headers import Check, Headers

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<symbol>[()]|[<>!]=|[=<>])"
    r"|(?P<mac>[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}(?![\w:]))"
    r"|(?P<bracket>\[[0-9a-f:.]+(?:/\d+)?\](?::[\d-]+)?)"
    r"|(?P<word>[^\s()<>!=\[\]]+))",
    re.IGNORECASE,
)
_END: Final = re.compile(r"\s*")
_PORTS: Final = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")
_WITH_PORT: Final = re.compile(r"([^:]*):([\d-]+)")
_DEPTH: Final = 32


class Filter:
    """A filter that was parsed; ``text`` is as it was written."""

    __slots__ = ("check", "text")

    def __init__(self, text: str, check: Check) -> None:
        self.text = text
        self.check = check

    def matches(self, frame: Frame) -> bool:
        """Whether ``frame`` is one of those that the filter is about."""
        return self.check(Headers(frame))


def parse(text: str, start: int = 0) -> Filter:
    """The filter that ``text`` from ``start`` on is. Raises DescriptionError, pointing at the column."""
    parser = _Parser(text, start)
    check = parser.either(0)
    if parser.token:
        raise parser.wrong(f"{parser.token!r} is too much", "put 'and' or 'or' before it, or leave it out")
    return Filter(text[start:].strip(), check)


class _Parser:
    """One token ahead; ``token`` is "" at the end, ``at`` where it begins."""

    def __init__(self, text: str, start: int) -> None:
        self._text = text
        self._next = start
        self.at = start
        self.token = ""
        self.kind = ""
        self._advance()

    def either(self, depth: int) -> Check:
        """``filter`` of the grammar."""
        checks = [self._both(depth)]
        while self.token == "or":
            self._advance()
            checks.append(self._both(depth))
        return checks[0] if len(checks) == 1 else terms.any_of(checks)

    def wrong(self, what: str, remedy: str) -> DescriptionError:
        """An error about the token at hand."""
        return DescriptionError(f"filter {self._text!r}, column {self.at + 1}: {what}", remedy=remedy)

    def _advance(self) -> str:
        """To the next token; what the former was."""
        former = self.token
        match = _TOKEN.match(self._text, self._next)
        if match is None:
            space = _END.match(self._text, self._next)
            self.at = space.end() if space is not None else self._next
            self.token = self.kind = ""
            if self.at < len(self._text):
                raise self.wrong(f"{self._text[self.at]!r} means nothing here", "leave it out")
            return former
        self.kind = match.lastgroup or ""
        self.at, self._next = match.start(self.kind), match.end()
        self.token = match[self.kind].lower()
        return former

    def _both(self, depth: int) -> Check:
        checks = [self._negated(depth)]
        while self.token not in ("", ")", "or"):
            if self.token == "and":
                self._advance()
            checks.append(self._negated(depth))
        return checks[0] if len(checks) == 1 else terms.all_of(checks)

    def _negated(self, depth: int) -> Check:
        if depth > _DEPTH:
            raise self.wrong("too many parentheses or negations", f"nest at most {_DEPTH}")
        if self.token == "not":
            self._advance()
            return terms.negation(self._negated(depth + 1))
        if self.token == "(":
            self._advance()
            check = self.either(depth + 1)
            if self.token != ")":
                raise self.wrong("a parenthesis is not closed", "write ')' here")
            self._advance()
            return check
        return self._term()

    def _term(self) -> Check:
        if not self.token:
            raise self.wrong("something is missing", "write what frames it is about, as 'tcp' or 'port 53'")
        if self.kind == "word" and (word := terms.WORDS.get(self.token)) is not None:
            self._advance()
            return word
        if self.token in terms.FIELDS:
            return self._comparison(terms.FIELDS[self._advance()])
        if self.token == "name":
            self._advance()
            if self.kind != "word" or not terms.is_domain(self.token):
                raise self.wrong(f"{self.token!r} is no domain name", "write it as shop.example")
            return terms.question(self._advance())
        side: terms.Side = "either"
        if self.token in ("from", "to"):
            side = "from" if self._advance() == "from" else "to"
        return self._place(side)

    def _comparison(self, field: terms.Field) -> Check:
        relation = terms.RELATIONS.get(self.token)
        if relation is None:
            raise self.wrong("a relation is missing", "write one of " + " ".join(terms.RELATIONS))
        self._advance()
        if not (self.token.isascii() and self.token.isdigit() and len(self.token) < 10):
            raise self.wrong(f"{self.token!r} is no number", "write a number")
        return terms.comparison(field, relation, int(self._advance()))

    def _place(self, side: terms.Side) -> Check:
        if self.token == "port":
            self._advance()
            return self._ports(self.token, side)
        named = self.token in ("host", "net")
        if named:
            self._advance()
        if self.kind == "mac":
            return terms.mac(bytes.fromhex(re.sub("[:-]", "", self._advance())), side)
        if self.kind == "bracket":
            address, _, ports = self.token[1:].partition("]")
            return self._host(address, ports[1:], side)
        if self.token.startswith(":") and not self.token.startswith("::"):
            return self._ports(self.token[1:], side)
        if (match := _WITH_PORT.fullmatch(self.token)) is not None:
            return self._host(match[1], match[2], side)
        if "." in self.token or ":" in self.token:
            return self._host(self.token, "", side)
        if side != "either" or named:
            raise self.wrong(
                f"{self.token or 'nothing'!r} is no address or port",
                "write an address, a prefix, :443 or 'port 443'",
            )
        raise self.wrong(f"{self.token!r} is no word of a filter", terms.suggestion(self.token))

    def _host(self, address: str, ports: str, side: terms.Side) -> Check:
        try:
            network = ip_network(address)
        except ValueError as error:
            raise self.wrong(
                f"{address!r} is no address or prefix ({error})",
                "write it as 203.0.113.10, 10.0.0.0/8 or 2001:db8::/32",
            ) from error
        if not ports:
            self._advance()
            return terms.host(network, side)
        least, most = self._port_range(ports)
        self._advance()
        return terms.end(network, least, most, side)

    def _ports(self, text: str, side: terms.Side) -> Check:
        least, most = self._port_range(text)
        self._advance()
        return terms.ports(least, most, side)

    def _port_range(self, text: str) -> tuple[int, int]:
        match = _PORTS.fullmatch(text)
        least = int(match[1]) if match is not None else -1
        most = int(match[2]) if match is not None and match[2] else least
        if not 0 <= least <= most <= 65535:
            raise self.wrong(f"{text!r} is no port", "write 0 to 65535, or two with '-' between")
        return least, most
