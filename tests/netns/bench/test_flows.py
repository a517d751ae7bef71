"""What ``guestnet bench flows`` does in a lab, once and little of it."""

from collections.abc import Iterator

import pytest

from guestnet.bench import flows_lab
from guestnet.bench.processes import Processes
from guestnet.core.errors import EnvironmentMissing, LabError
from guestnet.scenario import Lab

pytestmark = pytest.mark.netns


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    try:
        with flows_lab.serving("builtin", "netns") as lab:
            yield lab
    except EnvironmentMissing as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("verb", ["serial", "parallel", "first", "rtt", "udp"])
def test_the_guest_reaches_the_server_through_the_stack(lab: Lab, verb: str) -> None:
    assert flows_lab.ask(lab, verb, 20, 10).done == 20


def test_idle_flows_stay_open_when_the_script_is_done(lab: Lab) -> None:
    assert flows_lab.ask(lab, "idle", 30, 10).done == 30
    count = "ss --no-header --tcp state established '( dport = 5301 )' | wc -l"
    assert lab.guest.run(count, check=True).stdout.strip() == "30"


def test_what_the_stack_uses_is_part_of_what_the_lab_uses(lab: Lab) -> None:
    flows_lab.ask(lab, "rtt", 500)
    processes = Processes(lab.process.pid, "netns", "builtin")
    cpu = processes.cpu()
    assert 0 < cpu.stack < cpu.whole
    # The interpreter with our modules at least, and not the guest's share.
    assert 10 << 20 < processes.memory(256 << 20) < 1 << 30


def test_a_stack_that_does_not_run_is_said(lab: Lab) -> None:
    with pytest.raises(LabError, match="no process of the stack slirp"):
        Processes(lab.process.pid, "netns", "slirp").memory(0)
