"""The console: kept, watched, lent."""

import asyncio
import socket
from pathlib import Path

from guestnet.guest.console import Console

PANIC = (
    b"[    1.0] sysrq: Trigger a crash\r\n"
    b"[    1.1] Kernel panic - not syncing: sysrq triggered crash\r\n"
    b"[    1.2] CPU: 0 PID: 1 Comm: sh\r\n"
    b"[    1.3] ---[ end Kernel panic - not syncing: sysrq triggered crash ]---\r\n"
)


async def until_read(channel: socket.socket, data: bytes, console: Console) -> None:
    """Send ``data`` and wait until the console has seen it."""
    seen = asyncio.Event()
    end = console.listen(lambda _: seen.set())
    await asyncio.get_running_loop().sock_sendall(channel, data)
    await asyncio.wait_for(seen.wait(), 5)
    end()


def test_output_is_kept_and_shown_without_escape_sequences(tmp_path: Path) -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        console = Console(ours, tmp_path / "console.log", lambda _: None)
        await until_read(theirs, b"\x1b[1mone\x1b[0m\r\n\r\ntwo\r\n", console)
        assert console.recent() == "one\ntwo"
        assert console.recent(1) == "two"
        await console.type(b"ls\n")
        assert await asyncio.get_running_loop().sock_recv(theirs, 100) == b"ls\n"
        console.close()
        console.close()
        theirs.close()

    asyncio.run(main())
    assert (tmp_path / "console.log").read_bytes() == b"\x1b[1mone\x1b[0m\r\n\r\ntwo\r\n"


def test_a_panic_is_reported_once_with_its_text() -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        panics: list[str] = []
        console = Console(ours, None, panics.append)
        await until_read(theirs, PANIC[:70], console)
        assert panics == []
        await until_read(theirs, PANIC[70:], console)
        await until_read(theirs, PANIC, console)
        assert len(panics) == 1
        assert panics[0].startswith("[    1.1] Kernel panic - not syncing: sysrq triggered crash\n")
        assert "Comm: sh" in panics[0]
        console.close()
        theirs.close()

    asyncio.run(main())


def test_what_comes_after_the_other_end_closed_is_nothing() -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        console = Console(ours, None, lambda _: None)
        theirs.send(b"last words")
        theirs.close()
        console.close()
        assert console.recent() == "last words"

    asyncio.run(main())
