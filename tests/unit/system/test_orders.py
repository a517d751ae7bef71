"""A process that is ordered about by lines of JSON: both ends, with a real process between."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import msgspec

from guestnet.system.children import Children
from guestnet.system.orders import LINE_LIMIT, Ordered

CHILD = """
import asyncio
import msgspec
from guestnet.system.orders import orders, report

class Number(msgspec.Struct):
    value: int

async def main():
    told = await orders()
    first = await told.first(Number)
    report(Number(first.value + 1))
    async for each in told.each(msgspec.json.Decoder(Number)):
        report(Number(each.value * 2))
    report(Number(-1))

asyncio.run(main())
"""


AND_ANOTHER = """
import subprocess, sys
subprocess.Popen(["sleep", "600"])
print('{"value": 1}', flush=True)
sys.stdin.read()
"""


class Number(msgspec.Struct):
    value: int


async def a_child(children: Children, code: str = CHILD) -> Ordered[Number]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdin=PIPE, stdout=PIPE, limit=LINE_LIMIT, process_group=0,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3] / "harness")},
    )  # fmt: skip
    children.own("child", process)
    return Ordered(process, msgspec.json.Decoder(Number))


def test_orders_go_down_and_reports_come_up_until_the_end_of_either() -> None:
    async def talk() -> tuple[list[int], list[str]]:
        ended: list[str] = []
        children = Children(ended.append)
        child = await a_child(children)
        assert children.pids == {"child": child.process.pid}
        child.tell(Number(1))
        first = await child.report()
        assert first is not None
        child.tell(Number(10))
        second = await child.report()
        assert second is not None
        process = child.process
        assert isinstance(process.stdin, asyncio.StreamWriter)
        process.stdin.close()
        heard = [first.value, second.value, *[report.value async for report in child.each()]]
        assert await child.report() is None
        await children.stop()
        return heard, ended

    assert asyncio.run(talk()) == ([2, 20, -1], [])


def test_the_end_of_a_child_that_nobody_asked_for_is_told_once() -> None:
    async def die() -> list[str]:
        ended: list[str] = []
        said = asyncio.Event()

        def on_end(reason: str) -> None:
            ended.append(reason)
            said.set()

        children = Children(on_end)
        child = await a_child(children, "raise SystemExit(3)")

        async def read() -> None:
            assert [report async for report in child.each()] == []

        children.follow("child", child.process, read())
        async with asyncio.timeout(30):
            await said.wait()
        assert children.pids == {}
        await children.stop()
        return ended

    assert asyncio.run(die()) == ["the process of child ended with status 3"]


def test_what_is_told_to_end_ends_with_all_that_it_has_begun() -> None:
    async def stop() -> list[str]:
        ended: list[str] = []
        children = Children(ended.append)
        child = await a_child(children, AND_ANOTHER)
        assert await child.report() == Number(1)

        async def read() -> None:
            async for _ in child.each():
                pass

        children.follow("child", child.process, read())
        await children.stop()
        async with asyncio.timeout(30):
            # Its output is at its end: nobody has it any more.
            assert await child.report() is None
        return ended

    assert asyncio.run(stop()) == []
