"""The registry of stacks, and what each says about itself."""

import asyncio
import re
import resource
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from unittest.mock import patch

import pytest

from guestnet.core.address import Mac
from guestnet.core.errors import DescriptionError, EnvironmentMissing, LabError
from guestnet.edge.clock import LabClock
from guestnet.link.settings import NOTHING
from guestnet.stacks import registry
from guestnet.stacks.base import StackOptions
from guestnet.stacks.builtin import BuiltinStack
from guestnet.stacks.processes import Processes, Ready
from guestnet.stacks.registry import open_stack, stack_names
from tests.support.bench import Notebook

MAC = Mac.parse("52:54:00:65:00:01")


def options(mtu: int = 1500) -> StackOptions:
    return StackOptions(
        recorder=Notebook(), clock=LabClock(), seed=1, mtu=mtu, resolv_conf=Path("resolv.conf")
    )


def test_every_stack_knows_its_name() -> None:
    assert {"builtin", "kernel-nat", "passt", "slirp"} <= set(stack_names())
    for name in ("builtin", "kernel-nat", "passt", "slirp"):
        assert open_stack(name, options()).name == name


def test_an_unknown_stack_is_told_with_those_that_exist() -> None:
    with pytest.raises(DescriptionError, match=r"'vpnkit'.*builtin, kernel-nat, passt, slirp"):
        open_stack("vpnkit", options())


def test_other_distributions_may_bring_stacks(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = EntryPoint(name="mine", value="guestnet.stacks.slirp:SlirpStack", group=registry.ENTRY_POINTS)

    def found(*, group: str, name: str = mine.name) -> EntryPoints:
        return EntryPoints([mine]).select(group=group, name=name)

    monkeypatch.setattr(registry, "entry_points", found)
    assert stack_names() == ["builtin", "kernel-nat", "mine", "passt", "slirp"]
    assert open_stack("mine", options()).name == "slirp"


def test_the_cable_of_a_guest_that_has_ended_is_told() -> None:
    async def run() -> None:
        stack = open_stack("builtin", options())
        assert isinstance(stack, BuiltinStack)
        await stack.start()
        try:
            stack.plug("guest1", MAC, "cable").close()
            assert stack.cables.settings("cable") == (NOTHING, NOTHING)
            stack.unplug("guest1")
            with pytest.raises(DescriptionError, match="'cable' leads nowhere: its guest has ended"):
                stack.cables.settings("cable")
            with pytest.raises(DescriptionError, match="'cable' leads nowhere: its guest has ended"):
                await stack.cables.put("cable", (NOTHING, NOTHING))
        finally:
            await stack.stop()

    asyncio.run(run())


def test_the_stack_of_ours_does_not_start_without_descriptors() -> None:
    with (
        patch.object(resource, "getrlimit", return_value=(64, 64)),
        pytest.raises(EnvironmentMissing, match="only 64 descriptors"),
    ):
        asyncio.run(open_stack("builtin", options()).start())


def test_slirp_is_a_netdev_of_qemu_and_nothing_else() -> None:
    stack = open_stack("slirp", options())
    plug = stack.plug("guest1", MAC, "cable")
    assert plug.netdev.startswith("user,")
    assert "net=192.168.65.0/24" in plug.netdev
    assert plug.fds == ()
    plug.close()


def test_slirp_says_what_it_cannot_do() -> None:
    with pytest.raises(DescriptionError, match="MTU"):
        open_stack("slirp", options(mtu=9000)).plug("guest1", MAC, "cable")
    stack = open_stack("slirp", options())
    assert not stack.capabilities & {"tap", "host-name", "mtu", "capture", "flow-events", "guest-to-guest"}
    with pytest.raises(DescriptionError, match="TAP"):
        stack.plug_tap("guest1", MAC, "cable", -1)


def test_passt_says_what_it_cannot_do() -> None:
    stack = open_stack("passt", options())
    assert not stack.capabilities & {"tap", "host-name", "capture", "flow-events", "guest-to-guest"}
    with pytest.raises(DescriptionError, match="TAP"):
        stack.plug_tap("guest1", MAC, "cable", -1)
    with pytest.raises(DescriptionError, match="576 to 65520"):
        open_stack("passt", options(mtu=100))


def test_a_missing_passt_is_told_with_its_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentMissing, match="passt is not installed"):
        asyncio.run(open_stack("passt", options()).start())


def test_a_stack_that_is_not_started_says_so() -> None:
    with pytest.raises(LabError, match="not started"):
        open_stack("builtin", options()).plug("guest1", MAC, "cable")


@pytest.mark.parametrize(("name", "program"), [("slirp", "slirp4netns"), ("passt", "pasta")])
def test_a_missing_program_for_netns_guests_is_told_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, program: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    stack = open_stack(name, options())
    with pytest.raises(EnvironmentMissing, match=f"^{program} is not installed"):
        asyncio.run(stack.plug_netns("guest1", MAC, "cable", tmp_path / "network"))


@pytest.mark.parametrize(
    ("script", "said"),
    [("exit 1", ""), ("echo 'no such option: --mtu'; exit 1", r" \(no such option: --mtu\)")],
)
def test_a_process_of_a_stack_that_does_not_come_up_is_told_with_its_words(
    tmp_path: Path, script: str, said: str
) -> None:
    async def scenario() -> None:
        processes = Processes(tmp_path, "sh 1.0")
        told = rf"sh for guest1 did not come up{said}: see sh-cable\.log; the oldest .* is sh 1\.0"
        with pytest.raises(LabError, match=told):
            await processes.start_ready("guest1", "cable", lambda ready: ["sh", "-c", script])
        processes.end_all()

    asyncio.run(scenario())


def saying_ready(script: str, ready: Ready) -> list[str]:
    return ["sh", "-c", f"echo ready >/proc/self/fd/{ready.descriptor}; {script}"]


def test_a_process_of_a_stack_may_close_what_it_inherits_and_say_by_a_path_that_it_is_ready(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        processes = Processes(tmp_path, "sh 1.0")
        closing = "for each in /proc/self/fd/*; do eval \"exec ${each##*/}>&-\"; done 2>/dev/null; "
        await processes.start_ready(
            "guest1", "cable", lambda ready: ["bash", "-c", f"{closing} echo ready >{ready.path}; sleep 60"]
        )
        processes.end_all()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("kill -SEGV $$", "sh for guest1 ended with SIGSEGV: the stack under test is no more"),
        (
            "echo no more memory; exit 3",
            "sh for guest1 ended with status 3: .* no more \\(no more memory\\): see",
        ),
        ("exit 0", "sh for guest1 ended unasked: the stack under test is no more"),
    ],
)
def test_a_process_of_a_stack_that_ends_unasked_is_an_error_of_the_loop(
    tmp_path: Path, script: str, told: str
) -> None:
    async def scenario() -> BaseException:
        heard: asyncio.Queue[BaseException] = asyncio.Queue()
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: heard.put_nowait(context["exception"])
        )
        processes = Processes(tmp_path, "sh 1.0", told_within=0.01)
        await processes.start_ready("guest1", "cable", lambda ready: saying_ready(script, ready))
        async with asyncio.timeout(20):
            error = await heard.get()
        processes.end_all()
        assert heard.empty()
        return error

    error = asyncio.run(scenario())
    assert isinstance(error, LabError)
    assert re.match(told, str(error))


@pytest.mark.parametrize("script", ["exec sleep 60", "exit 0"])
def test_a_process_of_a_stack_that_is_told_to_end_is_no_error(tmp_path: Path, script: str) -> None:
    """Also one that went before it was told, because its guest had gone."""

    async def scenario() -> list[str]:
        heard: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context["message"]))
        processes = Processes(tmp_path, "sh 1.0", told_within=60)
        for _ in range(2):
            await processes.start_ready("guest1", "cable", lambda ready: saying_ready(script, ready))
        processes.start("guest2", "cable-guest2", ["sh", "-c", script])
        await asyncio.sleep(0.05)
        processes.end("guest1")
        processes.end_all()
        processes.end_all()
        await asyncio.sleep(0)
        return heard

    assert asyncio.run(scenario()) == []


@pytest.mark.parametrize("mtu", [100, 70000])
def test_an_impossible_mtu_is_told_with_what_is_possible(mtu: int) -> None:
    with pytest.raises(DescriptionError, match="576 to 65520"):
        open_stack("builtin", options(mtu))


def test_the_builtin_stack_stops_twice_and_starts_again() -> None:
    async def scenario() -> None:
        stack = open_stack("builtin", options())
        for _ in range(2):
            await stack.start()
            plug = stack.plug("guest1", MAC, "cable")
            assert plug.netdev == f"stream,addr.type=fd,addr.str={plug.fd}"
            plug.close()
            stack.unplug("guest1")
            stack.unplug("guest1")
            await stack.stop()
            await stack.stop()

    asyncio.run(scenario())
