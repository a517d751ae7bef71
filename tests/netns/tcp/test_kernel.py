"""Our TCP against the kernel's: each option off and on, through losses, reordering, marks and delays."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from harness.tcpip.tcp import Config
from tests.netns.tcp.kernel_peer import Case, Outcome

ROOT = Path(__file__).parents[3]
NAMESPACE = ("unshare", "--user", "--map-root-user", "--net")
BARE = Config(sack=False, timestamps=False, window_scaling=False)
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
}


@pytest.fixture(scope="module", autouse=True)
def _tun_works() -> None:
    command = [*NAMESPACE, "ip", "tuntap", "add", "tun0", "mode", "tun"]
    probe = subprocess.run(command, capture_output=True, check=False)
    if probe.returncode:
        pytest.skip(f"no TUN in a namespace of ours here: {probe.stderr.decode().strip()}")


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
def test_every_stream_arrives_and_a_third_party_finds_nothing_wrong(name: str, tmp_path: Path) -> None:
    case, capture = CASES[name], tmp_path / "capture.pcap"
    outcome = exchange(case, capture)
    assert outcome.error == ""
    assert (outcome.dropped > 0) is (case.loss > 0)
    assert (outcome.capable > 0) is (case.config.ecn and case.sysctl.get("tcp_ecn") == "1")
    if not (case.loss or case.jitter):
        assert outcome.sent_again <= 3  # probes, when this machine is slow
    assert wrong(capture) == ""


def wrong(capture: Path) -> str:
    """What tshark complains of: checksums, and ACKs of what was never sent."""
    if shutil.which("tshark") is None:
        return ""
    complaints = "tcp.checksum.status == 0 || ip.checksum.status == 0 || tcp.analysis.ack_lost_segment"
    checks = ["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"]
    command = ["tshark", "-r", str(capture), *checks, "-Y", complaints]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout
