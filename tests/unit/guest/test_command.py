"""Commands that are run to their end, and what is left of one that nobody waits for any more."""

import asyncio
import os
import select

import pytest

from guestnet.guest.command import run_to_end


@pytest.mark.parametrize("turns", range(8))
def test_a_command_that_is_given_up_while_it_starts_is_over_and_leaves_nothing(turns: int) -> None:
    """Whenever that is: the loop takes some turns to fork and to connect the pipes."""
    read, write = os.pipe()

    async def run() -> None:
        command = run_to_end(
            ["sh", "-c", "sleep 60 & wait"], limit=60, stdin=b"", environment=os.environ, descriptors=[write]
        )
        running = asyncio.ensure_future(command)
        for _ in range(turns):
            await asyncio.sleep(0)
        running.cancel()
        async with asyncio.timeout(10):
            with pytest.raises(asyncio.CancelledError):
                await running

    try:
        asyncio.run(run())
        os.close(write)
        # The pipe ends once neither the shell nor what it began has the other end any more.
        assert select.select([read], [], [], 10)[0]
        assert os.read(read, 1) == b""
    finally:
        os.close(read)
