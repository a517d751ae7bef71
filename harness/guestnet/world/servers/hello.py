"""A small program that says hello: all that an image needs to be run, without a libc or a shell.

An ELF file for Linux on x86-64 with one segment, which is the whole file (System V ABI, chapter 4).
"""

import struct
from typing import Final

SAID: Final = b"Hello from guestnet's registry.\n"
_BASE: Final = 0x400000
_HEADERS: Final = 64 + 56


def program() -> bytes:
    """The executable; it writes ``SAID`` and exits with 0."""
    code = b"".join(
        (
            b"\xb8\x01\x00\x00\x00",  # mov eax, 1 (write)
            b"\xbf\x01\x00\x00\x00",  # mov edi, 1
            b"\x48\x8d\x35\x10\x00\x00\x00",  # lea rsi, [rip + 16]: behind the code
            b"\xba" + struct.pack("<I", len(SAID)),  # mov edx, length
            b"\x0f\x05",  # syscall
            b"\xb8\x3c\x00\x00\x00",  # mov eax, 60 (exit)
            b"\x31\xff",  # xor edi, edi
            b"\x0f\x05",  # syscall
        )
    )
    size = _HEADERS + len(code) + len(SAID)
    identity = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    entry = _BASE + _HEADERS
    header = struct.pack("<16sHHIQQQIHHHHHH", identity, 2, 62, 1, entry, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)
    return header + segment + code + SAID
