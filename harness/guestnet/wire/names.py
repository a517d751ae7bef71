"""Domain names in DNS encoding (RFC 1035 3.1), as DHCP, DHCPv6 and router advertisements carry them."""

from collections.abc import Iterable


def decode_names(data: bytes, *, compressed: bool = False) -> tuple[str, ...]:
    """The names one after the other; ``compressed``: against ``data`` itself (RFC 3397 2).

    Raises ValueError.
    """
    names = []
    at = 0
    while at < len(data):
        name, at = _decode_name(data, at, compressed)
        names.append(name)
    return tuple(names)


def _decode_name(data: bytes, start: int, compressed: bool) -> tuple[str, int]:
    labels: list[str] = []
    at = start
    after: int | None = None
    lowest = start
    while True:
        if at >= len(data):
            raise ValueError(f"the name at {start} has no end")
        length = data[at]
        if length >= 0xC0 and compressed:
            target = (length & 0x3F) << 8 | (data[at + 1] if at + 1 < len(data) else 0xFF)
            # Pointers only go back, so that no name is endless.
            if target >= lowest:
                raise ValueError(f"the compression pointer at {at} does not point back")
            after = at + 2 if after is None else after
            at = lowest = target
            continue
        if length > 63 or at + 1 + length > len(data):
            raise ValueError(f"the label at {at} does not fit")
        at += 1
        if length == 0:
            return ".".join(labels), at if after is None else after
        label = data[at : at + length].decode("latin-1")
        if "." in label:
            raise ValueError(f"the label at {at} holds a dot")
        labels.append(label)
        if len(labels) > 127:
            raise ValueError(f"the name at {start} has too many labels")
        at += length


def encode_names(names: Iterable[str]) -> bytes:
    """The names one after the other, not compressed. Raises ValueError when one is none."""
    out = bytearray()
    for name in names:
        for label in name.split(".") if name else ():
            octets = label.encode("latin-1")
            if not 0 < len(octets) < 64:
                raise ValueError(f"{name!r} is no domain name")
            out += bytes((len(octets),)) + octets
        out.append(0)
    return bytes(out)
