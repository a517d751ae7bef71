"""A lab's life: what it tells, and that nothing of it stays, whoever dies first."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.core.errors import DescriptionError, EnvironmentMissing, GuestError, LabError
from harness.core.events import Noted
from harness.lab.client import LabProcess
from harness.lab.description import LabDescription
from harness.lab.protocol import Activity, Now, Record, Run, RunOn, Status
from harness.world import description as world
from harness.world.profiles import load_profile
from tests.netns.conftest import Marked, StartLab

pytestmark = pytest.mark.netns

ROOT = Path(__file__).parents[2]
DESCRIPTION = LabDescription(scenario="test", seed=1, guests=0)

CLIENT = """
import sys
from pathlib import Path
from harness.lab.client import LabProcess
from harness.lab.description import LabDescription
from harness.lab.protocol import RunOn

lab = LabProcess.start(LabDescription(scenario="client", seed=1, guests=0), Path(sys.argv[1]))
print("started", lab.call(RunOn(host="laptop", command="id -u")).stdout.decode().strip(), flush=True)
sys.stdin.read()
lab.close()
"""


def events(lab: LabProcess) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (lab.artifacts / "journal.jsonl").read_text().splitlines()]


def start_client(artifacts: Path, python: str = sys.executable, **options: object) -> "subprocess.Popen[str]":
    """A process of its own that has a lab, until its standard input ends."""
    options = {"env": {**os.environ, "PYTHONPATH": str(ROOT)}} | options
    return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
        [python, "-c", CLIENT, str(artifacts)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _namespaces_work(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skip, with the reason, where no lab can be."""
    try:
        LabProcess.start(DESCRIPTION, tmp_path_factory.mktemp("probe")).close()
    except EnvironmentMissing as error:
        pytest.skip(str(error))


def pass_time(process: "subprocess.Popen[str]", seconds: float) -> None:
    """Until ``process`` ends, but no longer than ``seconds``."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def test_the_journal_begins_and_ends_with_the_lab(start_lab: StartLab) -> None:
    lab = start_lab(scenario="first and last", seed=42)
    lab.close()
    first, last = events(lab)[0], events(lab)[-1]

    assert first["type"] == "LabStarted"
    assert (first["scenario"], first["seed"], first["stack"], first["profile"]) == (
        "first and last",
        42,
        "builtin",
        "plain",
    )
    assert {"guestnet", "python", "kernel"} <= set(first["versions"])
    assert (last["type"], last["reason"]) == ("LabStopped", "stopped")


def test_the_status_says_what_runs(start_lab: StartLab) -> None:
    status = start_lab(scenario="mine").call(Status())

    assert (status.scenario, status.stack, status.world) == ("mine", "builtin", "plain")
    assert status.hosts == ["laptop", "internet"]
    assert {"lab", "servers", "dns"} <= set(status.pids)


def test_what_the_client_records_gets_the_labs_time(start_lab: StartLab) -> None:
    lab = start_lab()
    before = lab.call(Now())
    at = lab.call(Record(event=Noted(at=0, text="from the client")))
    after = lab.call(Now())
    lab.call(Activity(journal=0, capture=0))

    assert before <= at <= after
    assert {"type": "Noted", "text": "from the client", "at": at} in events(lab)


def test_activity_waits_for_news(start_lab: StartLab) -> None:
    lab = start_lab()
    sizes = lab.call(Activity(journal=0, capture=0))
    same = lab.call(Activity(journal=sizes.journal, capture=sizes.capture, timeout=0.05))
    recorder = threading.Thread(target=lab.call, args=[Record(event=Noted(at=0, text="news"))])
    recorder.start()
    more = lab.call(Activity(journal=sizes.journal, capture=sizes.capture, timeout=10))
    recorder.join()

    assert same == sizes
    assert more.journal > sizes.journal
    assert (lab.artifacts / "journal.jsonl").stat().st_size == more.journal


def test_a_command_tells_status_output_and_signal(start_lab: StartLab) -> None:
    lab = start_lab()
    result = lab.call(RunOn(host="internet", command="cat; echo oops >&2; exit 3", input=b"sent\n"))
    killed = lab.call(RunOn(host="laptop", command="kill -TERM $$"))
    deaf = lab.call(RunOn(host="laptop", command="exit 4", input=bytes(1_000_000)))

    assert (result.status, result.stdout, result.stderr) == (3, b"sent\n", b"oops\n")
    assert killed.status == -signal.SIGTERM
    assert deaf.status == 4


def test_a_command_may_leave_something_in_the_background(start_lab: StartLab) -> None:
    lab = start_lab()
    begun = lab.call(RunOn(host="laptop", command="sleep 60 > /dev/null 2>&1 & echo $!"))
    alive = lab.call(RunOn(host="laptop", command=f"kill -0 {begun.stdout.decode()}"))

    assert alive.status == 0


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (RunOn(host="mars", command="id"), "there is no host 'mars': give one of laptop, internet"),
        (RunOn(host="laptop", command=["no-such-program"]), "no-such-program: No such file or directory"),
        (RunOn(host="laptop", command="sleep 60", timeout=0.1), "did not end within 0.1 s"),
        (RunOn(host="laptop", command=[]), "the command is empty"),
        (RunOn(host="laptop", command="yes"), "output is longer than 24 MiB"),
        (RunOn(host="laptop", command="setsid sleep 60 & exit 0", timeout=0.3), "did not end within 0.3 s"),
    ],
)
def test_a_command_that_can_not_be_run_is_a_lab_error(
    start_lab: StartLab, request_: RunOn, message: str
) -> None:
    with pytest.raises(LabError) as caught:
        start_lab().call(request_)

    assert message in str(caught.value)


def test_a_command_in_a_guest_that_is_not_there_is_a_guest_error(start_lab: StartLab) -> None:
    with pytest.raises(GuestError, match="guest7"):
        start_lab().call(Run(guest="guest7", command="id"))


def test_a_long_command_keeps_nobody_else_waiting_and_ends_with_the_lab(start_lab: StartLab) -> None:
    lab = start_lab()
    failures: list[LabError] = []

    def wait_for_ever() -> None:
        try:
            lab.call(RunOn(host="laptop", command="echo > /run/began; sleep 600", timeout=600))
        except LabError as error:
            failures.append(error)

    thread = threading.Thread(target=wait_for_ever)
    thread.start()
    lab.call(RunOn(host="laptop", command="until [ -e /run/began ]; do :; done", timeout=10))
    lab.close()
    thread.join(10)

    assert not thread.is_alive()
    assert len(failures) == 1


def test_a_call_after_the_end_is_an_error(start_lab: StartLab) -> None:
    lab = start_lab()
    lab.close()
    lab.close()

    with pytest.raises(LabError, match="closed"):
        lab.call(Now())


@pytest.mark.parametrize(
    ("fields", "kind", "message"),
    [
        ({"profile": "no-such"}, DescriptionError, "no profile called 'no-such'"),
        ({"stack": "no-such"}, DescriptionError, "no stack called 'no-such'"),
    ],
)
def test_a_lab_that_can_not_start_says_why(
    start_lab: StartLab, fields: dict[str, object], kind: type[Exception], message: str, marked: Marked
) -> None:
    with pytest.raises(kind, match=message):
        start_lab(**fields)

    assert marked.survivors() == []


def test_without_namespaces_the_error_has_the_remedy(tmp_path: Path) -> None:
    """A user namespace that allows no further one inside."""
    program = f"echo 0 > /proc/sys/user/max_user_namespaces && exec {sys.executable} -c '{CLIENT}' {tmp_path}"
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "sh", "-c", program],
        check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip

    assert "EnvironmentMissing: this user can't make namespaces" in done.stderr
    assert "sysctl -w user.max_user_namespaces=" in done.stderr


def test_it_does_with_a_resolver_file_and_artifacts_that_are_in_run(tmp_path: Path) -> None:
    """As systemd-resolved has the one, and a user's runtime folder the other; a lab covers /run."""
    client = CLIENT.replace("id -u", "cat /etc/resolv.conf")
    (tmp_path / "client.py").write_text(client)
    program = f"""
        set -e
        mount -t tmpfs none /run
        cp -r /etc {tmp_path}/etc 2> /dev/null || true
        rm -f {tmp_path}/etc/resolv.conf {tmp_path}/etc/nsswitch.conf
        ln -s ../run/systemd/resolve/stub-resolv.conf {tmp_path}/etc/resolv.conf
        mount --bind {tmp_path}/etc /etc
        {sys.executable} {tmp_path}/client.py /run/user/artifacts
        grep -c LabStopped /run/user/artifacts/journal.jsonl
    """
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", program],
        check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip

    assert (done.stdout, done.stderr) == ("started nameserver 203.0.113.53\n1\n", "")


def test_it_does_where_no_fresh_proc_is_allowed(tmp_path: Path) -> None:
    """As in a container that hides parts of /proc."""
    (tmp_path / "client.py").write_text(CLIENT)
    program = f"mount -t tmpfs none /proc/tty && exec {sys.executable} {tmp_path}/client.py {tmp_path}/lab"
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", program],
        check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip

    assert (done.stdout, done.stderr) == ("started 0\n", "")
    assert "/proc stays this machine's own" in (tmp_path / "lab" / "lab.log").read_text()


def test_a_world_of_ones_own_has_the_records_as_they_were_written(start_lab: StartLab) -> None:
    text = 'v=spf1, "quoted" \\\\ # -all'
    plain = load_profile("plain")
    records = (
        world.Record(name="many.example", type="A", value="203.0.113.10"),
        world.Record(name="many.example", type="A", value="203.0.113.20"),
        world.Record(name="many.example", type="AAAA", value="2001:db8::1"),
        world.Record(name="text.example", type="TXT", value=text),
    )
    servers = {**plain.servers, "dns": msgspec.structs.replace(plain.servers["dns"], records=records)}
    lab = start_lab(profile=msgspec.structs.replace(plain, name="mine", servers=servers))
    program = """
import dns.message, dns.query, sys
for name, rdtype in ("many.example", "A"), ("many.example", "AAAA"), ("text.example", "TXT"):
    reply = dns.query.udp(dns.message.make_query(name, rdtype), "203.0.113.53", timeout=5)
    for rdata in sorted(reply.answer[0]):
        print(rdata.strings[0].decode() if rdtype == "TXT" else rdata)
"""
    answer = lab.call(RunOn(host="laptop", command=[sys.executable, "-c", program]))

    assert answer.stdout.decode().splitlines() == ["203.0.113.10", "203.0.113.20", "2001:db8::1", text]
    assert lab.call(Status()).world == "mine"


def test_a_server_that_dies_ends_the_lab_with_the_reason(start_lab: StartLab, marked: Marked) -> None:
    lab = start_lab()
    pid = lab.started.pids["servers"]
    with pytest.raises(LabError, match="the process of servers ended"):  # noqa: PT012 - the second may be the first
        lab.call(RunOn(host="laptop", command=f"kill -KILL {pid}; sleep 60", timeout=20))
        lab.call(Now())
    lab.close()

    assert "the process of servers ended" in events(lab)[-1]["reason"]
    assert marked.survivors() == []


@pytest.mark.parametrize("victim", ["keeper", "init", "lab"])
def test_a_killed_lab_is_noticed_at_once_and_leaves_nothing(
    start_lab: StartLab, marked: Marked, victim: str
) -> None:
    lab = start_lab()
    (init,) = children(lab.pid)
    (inner,) = (
        pid for pid in children(init) if b"harness.lab\0" in Path(f"/proc/{pid}/cmdline").read_bytes()
    )
    pending: list[str] = []

    def wait() -> None:
        try:
            lab.call(RunOn(host="laptop", command="echo > /run/began; sleep 600", timeout=600))
        except LabError as error:
            pending.append(str(error))

    thread = threading.Thread(target=wait)
    thread.start()
    lab.call(RunOn(host="laptop", command="until [ -e /run/began ]; do :; done", timeout=10))
    os.kill({"keeper": lab.pid, "init": init, "lab": inner}[victim], signal.SIGKILL)
    thread.join(10)

    assert not thread.is_alive()
    assert "the lab ended unexpectedly (killed by SIGKILL)" in pending[0]
    assert "the lab is ready" in pending[0]
    lab.close()
    assert marked.survivors() == []


@pytest.mark.parametrize("seed", range(8))
def test_a_lab_of_which_any_process_is_killed_at_any_moment_leaves_nothing(
    tmp_path: Path, marked: Marked, seed: int
) -> None:
    choose = random.Random(seed)
    with start_client(tmp_path) as client:
        pass_time(client, choose.uniform(0.05, 0.6))
        for pid in sorted(marked.pids(), key=lambda _: choose.random()):
            if pid != client.pid:
                kill(pid)
                break
        _, errors = client.communicate("", timeout=30)
    assert "Error" not in errors or "LabError: " in errors
    assert marked.survivors() == []


@pytest.mark.parametrize("moment", [None, *(random.Random(1).uniform(0.0, 0.5) for _ in range(8))])
def test_when_the_client_is_killed_the_lab_ends(tmp_path: Path, marked: Marked, moment: float | None) -> None:
    """``moment``: seconds after the client's start, or None: when the lab runs."""
    with start_client(tmp_path) as client:
        assert client.stdout is not None
        if moment is None:
            assert client.stdout.readline().startswith("started")
            assert len(marked.pids()) > 4
        else:
            pass_time(client, moment)
        client.kill()

    assert marked.survivors() == []


def test_when_the_client_ends_without_closing_the_lab_ends(tmp_path: Path, marked: Marked) -> None:
    with start_client(tmp_path) as client:
        assert client.stdout is not None
        assert client.stdout.readline().startswith("started")
        client.send_signal(signal.SIGTERM)

    assert marked.survivors() == []


def test_twenty_labs_leave_nothing(start_lab: StartLab, marked: Marked) -> None:
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    mounts = Path("/proc/self/mountinfo").read_text()
    threads = threading.active_count()
    for _ in range(20):
        start_lab().close()

    assert marked.survivors() == []
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
    assert Path("/proc/self/mountinfo").read_text() == mounts
    assert threading.active_count() == threads


def test_labs_do_not_see_each_other(start_lab: StartLab) -> None:
    first, second = start_lab(), start_lab()
    first.call(RunOn(host="laptop", command="ip address add 10.0.0.1/32 dev lo; echo > /run/here"))
    seen = second.call(
        RunOn(host="laptop", command="ip address show; ls /run; ls /proc | grep -c '^[0-9]'")
    ).stdout

    assert b"10.0.0.1" not in seen
    assert b"here" not in seen


def test_a_plain_user_has_labs_too(tmp_path: Path, marked: Marked) -> None:
    """Not only root: what the other tests run as."""
    if os.geteuid() != 0:
        pytest.skip("the tests run as a plain user already")
    options: dict[str, object] = {"user": 65534, "group": 65534, "extra_groups": [], "cwd": "/"}
    packages = f"{ROOT}:{Path(msgspec.__file__).parents[1]}"
    environment = {**os.environ, "PYTHONPATH": packages}
    python = next(
        (each for each in (sys.executable, "/usr/bin/python3") if runs(each, environment, options)), None
    )
    if python is None:
        pytest.skip("a plain user can't read this Python or this checkout")
    with tempfile.TemporaryDirectory() as folder:
        artifacts = Path(folder, "lab")
        artifacts.mkdir()
        os.chown(artifacts, 65534, 65534)
        Path(folder).chmod(0o755)
        with start_client(artifacts, python=python, env=environment, **options) as client:
            output, errors = client.communicate("", timeout=30)

        assert (output, errors) == ("started 0\n", "")
        assert '"LabStopped"' in (artifacts / "journal.jsonl").read_text()
    assert marked.survivors() == []


def runs(python: str, environment: dict[str, str], options: dict[str, Any]) -> bool:
    """Whether a plain user can start a lab with this interpreter."""
    try:
        command = [python, "-c", "import harness.lab.client, harness.stacks.builtin, pyroute2, tornado"]
        probe = subprocess.run(command, check=False, capture_output=True, env=environment, **options)
    except PermissionError:
        return False
    return probe.returncode == 0


def children(pid: int) -> list[int]:
    """Of a process, by proc(5)."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
