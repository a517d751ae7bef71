"""A client of the QEMU guest agent: commands and files of a guest over virtio-serial.

Source: QEMU docs/interop/qemu-ga.rst and qga/qapi-schema.json. Requests and answers are JSON, one a line. The
agent takes one request at a time and answers in order, but a restored or reset guest, or a request that was
given up on, leaves stray bytes and late answers in the channel. So the client is *in step* or not: whatever
may have broken the order clears that, and the next request first sends ``guest-sync-delimited`` with a number
of its own and skips everything until the answer with this number.

``guest-exec`` only starts a process; its end is asked for with ``guest-exec-status`` at growing intervals. So
many commands can run in the guest while each of them holds the channel only for short requests.
"""

import asyncio
import base64
import json
import secrets
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from guestnet.core.errors import GuestError
from guestnet.core.result import Ran
from guestnet.guest.base import Command

MAX_RUNNING: Final = 16
"""Commands running in one guest at once; further ones wait for their turn."""

ANSWER_WITHIN: Final = 20.0
"""Seconds for the answer to one request, also on a busy machine without KVM."""

_DELIMITER: Final = b"\xff"
_SYNC_AGAIN: Final = 0.25
_FIRST_POLL: Final = 0.002
_LAST_POLL: Final = 0.05
_LINE_LIMIT: Final = 96 * 1024 * 1024
_END_WITHIN: Final = 5.0
_FILE_CHUNK: Final = 1024 * 1024
_END: Final = "/usr/lib/guestnet/end"


class AgentError(GuestError):
    """The agent answered a request with an error (no such file, no such command)."""


class ChannelClosed(GuestError):
    """The other end of the channel is gone, and QEMU with it."""


class Agent:
    """The host's end of the agent's channel. open() before anything else, close() at last."""

    def __init__(self, channel: socket.socket, name: str) -> None:
        """``channel`` is a connected stream socket, the agent's from now on; ``name`` is for error
        messages."""
        self._channel = channel
        self._name = name
        self._turn = asyncio.Lock()
        self._running = asyncio.Semaphore(MAX_RUNNING)
        self._in_step = False
        self._number = secrets.randbits(40)
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(sock=self._channel, limit=_LINE_LIMIT)

    async def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def out_of_step(self) -> None:
        """The guest was reset or restored: the next request synchronises first."""
        self._in_step = False

    async def ping(self, within: float = ANSWER_WITHIN) -> None:
        """Return as soon as the agent answers. Raises GuestError after ``within`` seconds."""
        await self.request("guest-ping", within=within)

    async def request(
        self, name: str, arguments: Mapping[str, Any] | None = None, *, within: float = ANSWER_WITHIN
    ) -> Any:
        """One request, its answer's ``return``. Raises AgentError for the agent's own error, GuestError when
        no answer comes within ``within`` seconds or the channel is closed."""
        async with self._turn:
            try:
                async with asyncio.timeout(within):
                    if not self._in_step:
                        await self._synchronise()
                    self._in_step = False
                    self._send({"execute": name, "arguments": arguments or {}})
                    answer = await self._receive()
                    self._in_step = True
            except TimeoutError:
                raise GuestError(
                    f"{self._name}: the agent did not answer {name} within {within:g} s",
                    remedy="look at the guest's console log",
                ) from None
            except (ConnectionError, asyncio.IncompleteReadError) as error:
                raise ChannelClosed(f"{self._name}: the agent's channel is closed") from error
        if "error" in answer:
            raise AgentError(f"{self._name}: {name}: {answer['error'].get('desc', 'unknown error')}")
        return answer["return"]

    async def run(
        self,
        command: Command,
        *,
        timeout: float = 60.0,  # noqa: ASYNC109 - the guest's process is killed when it passes
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
    ) -> Ran:
        """Run ``command`` to its end, see Guest.run. At most 16 MiB of output a stream (the agent's
        bound)."""
        words = ["/bin/sh", "-c", command] if isinstance(command, str) else list(command)
        async with self._running:
            started = time.monotonic()
            arguments: dict[str, Any] = {"path": words[0], "arg": words[1:], "capture-output": True}
            if stdin:
                arguments["input-data"] = base64.b64encode(stdin).decode()
            if environment:
                # The agent replaces the whole environment, so ours is put before the command instead.
                arguments["path"] = "/usr/bin/env"
                arguments["arg"] = [*(f"{key}={value}" for key, value in environment.items()), *words]
            pid = (await self.request("guest-exec", arguments))["pid"]
            try:
                async with asyncio.timeout(timeout):
                    status = await self._ended(pid)
            except TimeoutError:
                said = "was killed" if await self._end(pid) else "left a process that holds its output"
                raise GuestError(
                    f"{self._name}: {_shown(words)} did not end within {timeout:g} s and {said}",
                    remedy="give it a longer timeout, or >/dev/null 2>&1 to what it leaves in the background",
                ) from None
            return self._result(words, status, time.monotonic() - started)

    async def read_file(self, path: str) -> bytes:
        """The whole of a file; also of one in /proc. Raises GuestError."""
        handle = await self.request("guest-file-open", {"path": path, "mode": "r"})
        parts: list[bytes] = []
        try:
            while True:
                answer = await self.request("guest-file-read", {"handle": handle, "count": _FILE_CHUNK})
                parts.append(base64.b64decode(answer["buf-b64"]))
                if answer["eof"] or not answer["count"]:
                    return b"".join(parts)
        finally:
            await self.request("guest-file-close", {"handle": handle})

    async def write_file(self, path: str, content: bytes) -> None:
        """Make or replace a file. Raises GuestError."""
        handle = await self.request("guest-file-open", {"path": path, "mode": "w"})
        try:
            for start in range(0, len(content), _FILE_CHUNK):
                chunk = base64.b64encode(content[start : start + _FILE_CHUNK]).decode()
                await self.request("guest-file-write", {"handle": handle, "buf-b64": chunk})
        finally:
            await self.request("guest-file-close", {"handle": handle})

    async def _synchronise(self) -> None:
        """Ask again and again: what was asked before the guest opened its end may be lost."""
        while True:
            self._number += 1
            self._send({"execute": "guest-sync-delimited", "arguments": {"id": self._number}}, _DELIMITER)
            try:
                async with asyncio.timeout(_SYNC_AGAIN):
                    while (await self._receive()).get("return") != self._number:
                        pass
            except TimeoutError:
                continue
            return

    def _send(self, request: Mapping[str, Any], before: bytes = b"") -> None:
        if self._writer is None or self._writer.is_closing():
            raise ConnectionResetError("not open")
        self._writer.write(before + json.dumps(request).encode() + b"\n")

    async def _receive(self) -> dict[str, Any]:
        """The next whole answer; what is none (boot noise, half a line from before a reset) is skipped."""
        if self._reader is None:
            raise ConnectionResetError("not open")
        while True:
            line = await self._reader.readuntil(b"\n")
            try:
                answer = json.loads(line.rpartition(_DELIMITER)[2])
            except ValueError:
                continue
            if isinstance(answer, dict) and ("return" in answer or "error" in answer):
                return answer

    async def _ended(self, pid: int) -> dict[str, Any]:
        pause = _FIRST_POLL
        while True:
            status: dict[str, Any] = await self.request("guest-exec-status", {"pid": pid})
            if status["exited"]:
                return status
            await asyncio.sleep(pause)
            pause = min(pause * 1.3, _LAST_POLL)

    async def _end(self, pid: int) -> bool:
        """Kill a process and its descendants, and take its status so that the agent forgets it. False when an
        orphan of it still has its output open: the agent knows no end of it then."""
        killer = (await self.request("guest-exec", {"path": _END, "arg": [str(pid)]}))["pid"]
        try:
            async with asyncio.timeout(_END_WITHIN):
                await self._ended(killer)
                await self._ended(pid)
        except TimeoutError:
            return False
        return True

    def _result(self, words: Sequence[str], status: Mapping[str, Any], seconds: float) -> Ran:
        if status.get("out-truncated") or status.get("err-truncated"):
            raise GuestError(
                f"{self._name}: {_shown(words)} printed more than the agent carries (16 MiB)",
                remedy="let it write a file in the guest and read that",
            )
        return Ran(
            status=-status["signal"] if "signal" in status else status["exitcode"],
            stdout_bytes=base64.b64decode(status.get("out-data", "")),
            stderr_bytes=base64.b64decode(status.get("err-data", "")),
            seconds=seconds,
        )


def _shown(words: Sequence[str]) -> str:
    text = " ".join(words)
    return repr(text if len(text) <= 100 else text[:97] + "...")
