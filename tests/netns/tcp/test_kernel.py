"""Our TCP against the kernel's: each option off and on, through losses, reordering, marks and delays."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from guestnet.tcpip.tcp import Config
from tests.netns.tcp.kernel_peer import Case, Outcome
from tests.support.expert import complaints

ROOT = Path(__file__).parents[3]
NAMESPACE = ("unshare", "--user", "--map-root-user", "--net")
BARE = Config(sack=False, timestamps=False, window_scaling=False)
NONE = {"tcp_sack": "0", "tcp_dsack": "0", "tcp_timestamps": "0", "tcp_window_scaling": "0"}
ALL = {"tcp_ecn": "1", "tcp_mtu_probing": "2", "tcp_congestion_control": "reno"}
TINY = Config(receive_buffer=5000, send_buffer=9000)
CASES: dict[str, Case] = {
    "clear": Case(""),
    "loss": Case("", loss=0.02),
    "heavy loss": Case("", loss=0.08, size=100_000),
    "reordering": Case("", jitter=10),
    "no SACK": Case("", sysctl={"tcp_sack": "0"}, loss=0.02),
    "no DSACK": Case("", sysctl={"tcp_dsack": "0"}, loss=0.02, jitter=5),
    "no timestamps": Case("", sysctl={"tcp_timestamps": "0"}, loss=0.02),
    "no window scaling": Case("", sysctl={"tcp_window_scaling": "0"}, loss=0.02),
    "no RACK": Case("", sysctl={"tcp_recovery": "0"}, loss=0.02),
    "NewReno": Case("", config=Config(congestion="newreno"), loss=0.02),
    "we have no options": Case("", config=BARE, loss=0.02),
    "ECN": Case("", sysctl={"tcp_ecn": "1"}, config=Config(ecn=True), mark=0.02),
    "ECN and loss": Case("", sysctl={"tcp_ecn": "1"}, config=Config(ecn=True), mark=0.02, loss=0.02),
    "ECN asked for in vain": Case("", sysctl={"tcp_ecn": "1"}, mark=0.05),
    "small MTU": Case("", mtu=576, loss=0.01, size=150_000),
    "jumbo": Case("", mtu=9000, config=Config(mtu=9000), loss=0.02, size=1_000_000),
    "tiny windows": Case("", config=TINY, loss=0.01, delay=1, size=80_000),
    "tiny windows of the kernel": Case("", sysctl={"tcp_rmem": "4096 8192 16384"}, loss=0.01, delay=1),
    "the kernel searches the MTU": Case("", sysctl={"tcp_mtu_probing": "2"}, loss=0.01),
    "the kernel looks for black holes": Case("", sysctl={"tcp_mtu_probing": "1"}, loss=0.02),
    "the kernel's NewReno": Case("", sysctl={"tcp_congestion_control": "reno"}, loss=0.02),
    "the kernel has no options": Case("", sysctl=NONE, loss=0.02, jitter=3),
    "neither has options": Case("", sysctl=NONE, config=BARE, loss=0.02, jitter=3),
    "timestamps alone": Case("", sysctl={"tcp_sack": "0", "tcp_window_scaling": "0"}, loss=0.02, jitter=3),
    "SACK without DSACK and timestamps": Case(
        "", sysctl={"tcp_dsack": "0", "tcp_timestamps": "0"}, loss=0.02, jitter=3
    ),
    "IPv6": Case("", version=6),
    "IPv6 and loss": Case("", version=6, loss=0.02, jitter=3),
    "IPv6 and ECN": Case(
        "", version=6, sysctl={"tcp_ecn": "1"}, config=Config(ecn=True), mark=0.02, loss=0.02
    ),
    "IPv6 and its least MTU": Case("", version=6, mtu=1280, loss=0.01, size=150_000),
    "everything at once": Case("", sysctl=ALL, config=Config(ecn=True), loss=0.02, mark=0.02, jitter=3),
}


Seen = dict[str, tuple[Outcome, str]]


@pytest.fixture(scope="module")
def seen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """What came of each case that was asked for, and tshark's complaints: mostly waiting, so together."""
    command = [*NAMESPACE, "ip", "tuntap", "add", "tun0", "mode", "tun"]
    probe = subprocess.run(command, capture_output=True, check=False)
    if probe.returncode:
        pytest.skip(f"no TUN in a namespace of ours here: {probe.stderr.decode().strip()}")
    items = [item for item in request.session.items if item.path == request.path]
    wanted = [str(item.callspec.params["name"]) for item in items if isinstance(item, pytest.Function)]
    folder = tmp_path_factory.mktemp("captures")

    def run(numbered: tuple[int, str]) -> tuple[Outcome, str]:
        number, name = numbered
        capture = folder / f"{number}.pcap"
        return exchange(CASES[name], capture), complaints(capture)

    with ThreadPoolExecutor(4) as pool:
        return dict(zip(wanted, pool.map(run, enumerate(wanted)), strict=True))


def exchange(case: Case, capture: Path) -> Outcome:
    argument = msgspec.json.encode(msgspec.structs.replace(case, capture=str(capture))).decode()
    body = [sys.executable, "-m", "tests.netns.tcp.kernel_peer", argument]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        [*NAMESPACE, *body], cwd=ROOT, env=environment, capture_output=True, timeout=90, check=False
    )
    assert ended.returncode == 0, ended.stderr.decode()
    return msgspec.json.decode(ended.stdout, type=Outcome)


@pytest.mark.netns
@pytest.mark.parametrize("name", CASES)
def test_every_stream_arrives_and_a_third_party_finds_nothing_wrong(name: str, seen: Seen) -> None:
    case, (outcome, wrong) = CASES[name], seen[name]
    assert outcome.error == ""
    assert (outcome.dropped > 0) is (case.loss > 0)
    assert (outcome.capable > 0) is (case.config.ecn and case.sysctl.get("tcp_ecn") == "1")
    if not (case.loss or case.jitter):
        assert outcome.sent_again <= 20  # of 600: probes, when this machine is slow
    assert wrong == ""
