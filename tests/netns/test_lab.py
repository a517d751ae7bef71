"""What a lab tells its client, and does for it."""

import signal
import subprocess
import sys
import threading

import msgspec
import pytest

from guestnet.core.errors import DescriptionError, GuestError, LabError
from guestnet.core.events import Noted
from guestnet.lab.requests import lab_file
from guestnet.lab.requests.protocol import Activity, Now, Record, Run, RunOn, Status
from guestnet.world.described import server
from guestnet.world.profiles.load import load_profile
from tests.netns.conftest import StartLab, events
from tests.support.marked import Marked

pytestmark = pytest.mark.netns


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


def test_a_lab_says_from_its_beginning_what_it_is(start_lab: StartLab) -> None:
    lab = start_lab(scenario="mine", seed=42, laptop="ipv4", mtu=9000)
    written = lab_file.load(lab.artifacts)

    assert written.description == lab.description
    assert written.description.mtu == 9000
    lab.close()
    assert written.versions == events(lab)[0]["versions"]
    assert str(lab.artifacts) not in (lab.artifacts / lab_file.LAB_FILE).read_text()


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
    lab = start_lab(capture="none")  # whose links are never quite silent
    sizes = lab.call(Activity(journal=0, capture=0))
    same = lab.call(Activity(journal=sizes.journal, capture=sizes.capture, timeout=0.05))
    recorder = threading.Thread(target=lab.call, args=[Record(event=Noted(at=0, text="news"))])
    recorder.start()
    more = lab.call(Activity(journal=sizes.journal, capture=sizes.capture, timeout=10))
    recorder.join()

    assert same == sizes
    assert more.journal > sizes.journal
    assert (lab.artifacts / "journal.jsonl").stat().st_size == more.journal


def test_whoever_follows_the_files_of_a_quiet_lab_sees_its_last_event(start_lab: StartLab) -> None:
    lab = start_lab()
    lab.call(Record(event=Noted(at=0, text="the last word")))

    follower = ["sh", "-c", 'until grep -q "the last word" "$0"; do sleep 0.05; done']
    followed = subprocess.run([*follower, str(lab.artifacts / "journal.jsonl")], timeout=10, check=False)

    assert followed.returncode == 0


def test_a_command_tells_status_output_and_signal(start_lab: StartLab) -> None:
    lab = start_lab()
    result = lab.call(RunOn(host="internet", command="cat; echo oops >&2; exit 3", input=b"sent\n"))
    killed = lab.call(RunOn(host="laptop", command="kill -TERM $$"))
    deaf = lab.call(RunOn(host="laptop", command="exit 4", input=bytes(1_000_000)))

    assert (result.status, result.stdout_bytes, result.stderr_bytes) == (3, b"sent\n", b"oops\n")
    assert killed.status == -signal.SIGTERM
    assert deaf.status == 4


def test_a_command_may_leave_something_in_the_background(start_lab: StartLab) -> None:
    lab = start_lab()
    begun = lab.call(RunOn(host="laptop", command="sleep 60 > /dev/null 2>&1 & echo $!"))
    alive = lab.call(RunOn(host="laptop", command=f"kill -0 {begun.stdout}"))

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


def test_a_world_of_ones_own_has_the_records_as_they_were_written(start_lab: StartLab) -> None:
    text = 'v=spf1, "quoted" \\\\ # -all'
    plain = load_profile("plain")
    records = (
        server.Record(name="many.example", type="A", value="203.0.113.10"),
        server.Record(name="many.example", type="A", value="203.0.113.20"),
        server.Record(name="many.example", type="AAAA", value="2001:db8::1"),
        server.Record(name="text.example", type="TXT", value=text),
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

    assert answer.stdout.splitlines() == ["203.0.113.10", "203.0.113.20", "2001:db8::1", text]
    assert lab.call(Status()).world == "mine"


def test_labs_do_not_see_each_other(start_lab: StartLab) -> None:
    first, second = start_lab(), start_lab()
    first.call(RunOn(host="laptop", command="ip address add 10.0.0.1/32 dev lo; echo > /run/here"))
    seen = second.call(
        RunOn(host="laptop", command="ip address show; ls /run; ls /proc | grep -c '^[0-9]'")
    ).stdout

    assert "10.0.0.1" not in seen
    assert "here" not in seen
