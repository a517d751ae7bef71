"""Link-layer addresses, and how guests come by their IP addresses: the standard library's ``ipaddress`` types
serve for those."""

from typing import Final, Literal, Self, TypeAlias

from guestnet.core.errors import DescriptionError

Ipv6Mode: TypeAlias = Literal["slaac", "managed", "no-router", "off"]
"""How guests come by IPv6: by router advertisements; by DHCPv6; with a prefix but no router; not at all."""


class Mac(bytes):
    """A 48-bit IEEE 802 address; six bytes, so that it is read from and written to frames as it is."""

    __slots__ = ()

    def __new__(cls, octets: bytes | memoryview) -> Self:
        if len(octets) != 6:
            raise DescriptionError(f"a MAC address has 6 octets, not {len(octets)}")
        return super().__new__(cls, octets)

    @classmethod
    def parse(cls, text: str) -> Self:
        """From ``"52:54:00:12:34:56"``. Raises DescriptionError."""
        try:
            return cls(bytes.fromhex(text.replace(":", "").replace("-", "")))
        except ValueError as error:
            raise DescriptionError(
                f"{text!r} is no MAC address", remedy="write six hex octets, as 52:54:00:12:34:56"
            ) from error

    @property
    def is_group(self) -> bool:
        """True for multicast and broadcast: the I/G bit (IEEE 802, clause 8.2.2)."""
        return bool(self[0] & 1)

    def __str__(self) -> str:
        return self.hex(":")

    def __repr__(self) -> str:
        return f"Mac({str(self)!r})"


BROADCAST: Final = Mac(b"\xff" * 6)
ZERO: Final = Mac(bytes(6))
