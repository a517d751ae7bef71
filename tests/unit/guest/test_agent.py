"""The agent's client against a scripted agent."""

import asyncio
import base64
import json
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from guestnet.core.errors import GuestError
from guestnet.guest.agent import Agent, AgentError, ChannelClosed

Answer = dict[str, Any] | None
"""None: no answer."""


class FakeAgent:
    """Answers like qemu-ga: one request at a time, in order. ``noise`` is what the channel holds before."""

    def __init__(self, channel: socket.socket, noise: bytes = b"") -> None:
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[str, Callable[[dict[str, Any]], Answer]] = {"guest-ping": lambda _: {}}
        self.deaf_to_syncs = 0
        self._channel = channel
        self._noise = noise

    async def serve(self) -> None:
        reader, writer = await asyncio.open_connection(sock=self._channel, limit=4 * 1024 * 1024)
        writer.write(self._noise)
        try:
            while line := await reader.readline():
                writer.write(self._answer(json.loads(line.lstrip(b"\xff"))))
        finally:
            writer.close()

    def _answer(self, request: dict[str, Any]) -> bytes:
        name, arguments = request["execute"], request["arguments"]
        if name == "guest-sync-delimited":
            if self.deaf_to_syncs:
                self.deaf_to_syncs -= 1
                return b""
            return b"\xff" + json.dumps({"return": arguments["id"]}).encode() + b"\n"
        self.requests.append((name, arguments))
        if name not in self.answers:
            return b'{"error": {"class": "GenericError", "desc": "no such thing"}}\n'
        answer = self.answers[name](arguments)
        return b"" if answer is None else json.dumps({"return": answer}).encode() + b"\n"


def talk(work: Callable[[Agent, FakeAgent], Awaitable[None]], noise: bytes = b"") -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        fake = FakeAgent(theirs, noise)
        server = asyncio.create_task(fake.serve())
        agent = Agent(ours, "guest1")
        await agent.open()
        try:
            await work(agent, fake)
        finally:
            await agent.close()
            server.cancel()
            await asyncio.wait({server})

    asyncio.run(main())


def ended(status: int = 0, out: bytes = b"", err: bytes = b"") -> dict[str, Any]:
    texts = {"out-data": base64.b64encode(out).decode(), "err-data": base64.b64encode(err).decode()}
    return {"exited": True, "exitcode": status} | texts


def test_a_command_has_status_and_output() -> None:
    async def work(agent: Agent, fake: FakeAgent) -> None:
        polls = iter([{"exited": False}, {"exited": False}, ended(3, b"out\n", b"err\n")])
        fake.answers["guest-exec"] = lambda _: {"pid": 77}
        fake.answers["guest-exec-status"] = lambda _: next(polls)

        result = await agent.run("exit 3", stdin=b"in")

        assert (result.status, result.stdout_bytes, result.stderr_bytes) == (3, b"out\n", b"err\n")
        name, arguments = fake.requests[0]
        assert name == "guest-exec"
        assert (arguments["path"], arguments["arg"]) == ("/bin/sh", ["-c", "exit 3"])
        assert base64.b64decode(arguments["input-data"]) == b"in"

    talk(work)


def test_words_are_executed_as_they_are_with_the_environment_added() -> None:
    async def work(agent: Agent, fake: FakeAgent) -> None:
        fake.answers["guest-exec"] = lambda _: {"pid": 1}
        fake.answers["guest-exec-status"] = lambda _: ended()

        await agent.run(["curl", "a b"], environment={"http_proxy": "http://p"})

        words = [fake.requests[0][1]["path"], *fake.requests[0][1]["arg"]]
        assert words == ["/usr/bin/env", "http_proxy=http://p", "curl", "a b"]

    talk(work)


def test_a_signal_is_a_negative_status() -> None:
    async def work(agent: Agent, fake: FakeAgent) -> None:
        fake.answers["guest-exec"] = lambda _: {"pid": 1}
        fake.answers["guest-exec-status"] = lambda _: {"exited": True, "signal": 9}

        assert (await agent.run(["x"])).status == -9

    talk(work)


def test_a_command_that_takes_too_long_is_killed_with_its_descendants() -> None:
    async def work(agent: Agent, fake: FakeAgent) -> None:
        alive = {5}

        def execute(arguments: dict[str, Any]) -> Answer:
            if arguments["path"].endswith("/end"):
                alive.remove(int(arguments["arg"][0]))
                return {"pid": 6}
            return {"pid": 5}

        def status(arguments: dict[str, Any]) -> Answer:
            return {"exited": False} if arguments["pid"] in alive else ended()

        fake.answers |= {"guest-exec": execute, "guest-exec-status": status}

        with pytest.raises(GuestError, match=r"'sleep 99' did not end within 0\.05 s and was killed"):
            await agent.run(["sleep", "99"], timeout=0.05)
        assert alive == set()

    talk(work)


def test_output_that_was_cut_is_an_error_not_half_an_answer() -> None:
    async def work(agent: Agent, fake: FakeAgent) -> None:
        fake.answers["guest-exec"] = lambda _: {"pid": 1}
        fake.answers["guest-exec-status"] = lambda _: ended() | {"out-truncated": True}

        with pytest.raises(GuestError, match="16 MiB"):
            await agent.run(["yes"])

    talk(work)


def test_noise_and_late_answers_are_skipped() -> None:
    async def work(agent: Agent, fake: FakeAgent) -> None:
        fake.answers["guest-info"] = lambda _: {"version": "7.2"}
        assert await agent.request("guest-info") == {"version": "7.2"}

    talk(work, noise=b'half a line from before\n{"return": {"version": "0"}}\n{"return": 4}\n')


def test_a_lost_synchronisation_is_repeated() -> None:
    async def work(agent: Agent, fake: FakeAgent) -> None:
        fake.deaf_to_syncs = 2
        await agent.ping()
        assert [name for name, _ in fake.requests] == ["guest-ping"]

    talk(work)


def test_a_request_without_an_answer_does_not_spoil_the_next() -> None:
    async def work(agent: Agent, fake: FakeAgent) -> None:
        fake.answers["guest-sleep"] = lambda _: None

        with pytest.raises(GuestError, match=r"did not answer guest-sleep within 0\.05 s"):
            await agent.request("guest-sleep", within=0.05)
        await agent.ping()

    talk(work)


def test_an_error_of_the_agent_is_told() -> None:
    async def work(agent: Agent, _: FakeAgent) -> None:
        with pytest.raises(AgentError, match="guest1: guest-file-open: no such thing"):
            await agent.read_file("/none")

    talk(work)


def test_files_go_in_chunks() -> None:
    async def work(agent: Agent, fake: FakeAgent) -> None:
        stored = bytearray()

        def write(arguments: dict[str, Any]) -> Answer:
            stored.extend(base64.b64decode(arguments["buf-b64"]))
            return {"count": 0, "eof": False}

        def read(arguments: dict[str, Any]) -> Answer:
            part = bytes(stored[: arguments["count"]])
            del stored[: arguments["count"]]
            return {"count": len(part), "buf-b64": base64.b64encode(part).decode(), "eof": not stored}

        fake.answers |= {
            "guest-file-open": lambda _: {"handle": 1},
            "guest-file-write": write,
            "guest-file-read": read,
            "guest-file-close": lambda _: {},
        }
        content = bytes(range(256)) * 4096 + b"tail"

        await agent.write_file("/f", content)
        assert bytes(stored) == content
        assert await agent.read_file("/f") == content

    talk(work)


def test_a_closed_channel_is_told_at_once() -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        agent = Agent(ours, "guest1")
        await agent.open()
        theirs.close()
        with pytest.raises(ChannelClosed):
            await agent.ping()
        await agent.close()

    asyncio.run(main())
