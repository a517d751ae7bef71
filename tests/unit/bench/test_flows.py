"""Flows: ratios within a run, what the guest's script says, and what is read from proc(5)."""

import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from guestnet.bench.flows import figures
from guestnet.bench.flows_lab import Counted, Transfer, counted, transferred
from guestnet.bench.flows_server import __file__ as server_program
from guestnet.bench.processes import anonymous
from guestnet.core.errors import GuestError
from guestnet.system.programs import require


def test_more_of_a_rate_and_less_of_a_time_are_better() -> None:
    made = figures(
        {
            "builtin": [{"connects_serial": 30.0, "request_rtt": 2.0}, {"connects_serial": 10.0}],
            "passt": [{"connects_serial": 10.0, "request_rtt": 6.0}, {"connects_serial": 20.0}],
        },
        "qemu",
    )
    by_name = {(one.name, one.stack): one for one in made}
    assert by_name["connects_serial", "passt"].runs == [10.0, 20.0]
    assert by_name["connects_serial_against_passt", "builtin"].runs == [3.0, 0.5]
    assert by_name["request_rtt_against_passt", "builtin"].runs == [3.0]


def test_what_one_stack_has_alone_is_not_compared() -> None:
    made = figures(
        {"builtin": [{"capture_cost": 0.05, "flow_memory_10000": 6e3}], "passt": [{"idle_cpu": 0.1}]}, "qemu"
    )
    assert [(one.name, one.stack) for one in made] == [
        ("flow_memory_10000", "builtin"),
        ("idle_cpu", "passt"),
        ("capture_cost", "builtin"),
    ]


def test_nothing_is_divided_by_nothing() -> None:
    made = figures({"builtin": [{"flow_memory_1000": 0.0}], "passt": [{"flow_memory_1000": 5.0}]}, "qemu")
    assert [one.name for one in made] == ["flow_memory_1000", "flow_memory_1000"]


def test_the_guests_script_says_seconds_and_counts() -> None:
    assert counted("0.500000 100 0\n") == Counted(0.5, 100, 0)
    assert counted("0.500000 100 0\n").rate == 200.0


@pytest.mark.parametrize("said", ["", "connect: Connection refused", "1 2"])
def test_anything_else_that_it_says_is_an_error(said: str) -> None:
    with pytest.raises(GuestError, match=r"flows\.pl"):
        counted(said)


def test_the_octets_that_arrived_count() -> None:
    report = '{"end": {"sum_sent": {"bytes": 9, "seconds": 1}, "sum_received": {"bytes": 8, "seconds": 2}}}'
    assert transferred(report) == Transfer(8, 2.0)


@pytest.mark.parametrize(
    ("report", "reason"),
    [
        ('{"end": {}, "error": "unable to connect"}', "unable to connect"),
        ("{}", "nothing arrived"),
        ("", "no"),
    ],
)
def test_a_transfer_that_failed_is_told_with_its_reason(report: str, reason: str) -> None:
    with pytest.raises(GuestError, match=reason):
        transferred(report)


def test_the_guests_own_memory_is_left_out() -> None:
    smaps = [
        "7f0000000000-7f0000100000 rw-p 00000000 00:00 0",
        "Anonymous:          1024 kB",
        "AnonHugePages:       512 kB",
        "7f1000000000-7f1000004000 rw-p 00000000 00:00 0  [heap]",
        "Anonymous:            12 kB",
    ]
    assert anonymous(smaps, 0x100000) == 12 * 1024
    assert anonymous(smaps, 0) == 1036 * 1024


@pytest.fixture
def echo_port() -> Iterator[int]:
    # In the foreground here, so that it can be ended: as a program it goes into the background.
    serve = (
        f"import sys; sys.path.insert(0, {str(Path(server_program).parent)!r}); import flows_server; "
        "echo = flows_server.Echo('127.0.0.1', 0); print(echo.port, flush=True); echo.serve()"
    )
    with subprocess.Popen([sys.executable, "-I", "-c", serve], stdout=subprocess.PIPE) as server:
        try:
            assert server.stdout is not None
            yield int(server.stdout.readline())
        finally:
            server.kill()


@pytest.mark.parametrize("verb", ["serial", "parallel", "first", "rtt", "udp"])
def test_script_and_server_understand_each_other(verb: str, echo_port: int) -> None:
    script = files("guestnet.bench").joinpath("flows.pl").read_bytes()
    ran = subprocess.run(
        [require("perl"), "-Mstrict", "-Mwarnings=FATAL,all", "-",
         verb, "127.0.0.1", str(echo_port), "20", "5"],
        input=script, capture_output=True, timeout=30, check=False,
    )  # fmt: skip
    assert ran.stderr == b""
    answer = counted(ran.stdout.decode())
    assert (answer.done, answer.lost) == (20, 0)
