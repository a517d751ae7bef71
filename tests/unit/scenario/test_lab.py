"""The lab and its guests, as a scenario uses them."""

import hashlib
import json
import shlex
from pathlib import Path
from typing import cast

import pytest

from guestnet.core.errors import DescriptionError, EnvironmentMissing, ExpectationFailed, GuestError
from guestnet.core.events import Event, Noted, StepBegan, StepEnded, VerbRun
from guestnet.journal.query import Trace
from guestnet.lab.process.client import LabProcess
from guestnet.lab.requests.description import GuestKind
from guestnet.lab.requests.protocol import GuestInfo, ResetGuest, Run, RunOn, SetLink
from guestnet.scenario import Endpoint, Guest, Lab
from tests.unit.scenario.fake_lab import FakeLab, tcp_frame


@pytest.fixture
def lab(fake: FakeLab) -> Lab:
    return Lab(cast(LabProcess, fake))


@pytest.fixture
def guest(lab: Lab) -> Guest:
    return lab.guest


def events(folder: Path, *kinds: type[Event]) -> list[Event]:
    trace = Trace(folder)
    trace.refresh()
    return [event for event in trace.all_events if isinstance(event, kinds)]


# The lab


def test_steps_are_journaled_with_their_outcome(lab: Lab, fake: FakeLab) -> None:
    with lab.step("one"), lab.step("two"):
        fake.now += 5
    with pytest.raises(AssertionError), lab.step("three"):
        raise ExpectationFailed("red")
    with pytest.raises(KeyError), lab.step("four"):
        raise KeyError
    with pytest.raises(BaseException, match="not here"), lab.step("five"):
        pytest.skip("not here")
    fake.recorder.flush()

    began = [event for event in events(lab.artifacts, StepBegan) if isinstance(event, StepBegan)]
    ended = [event for event in events(lab.artifacts, StepEnded) if isinstance(event, StepEnded)]
    assert [(event.step, event.name) for event in began] == [
        (1, "one"), (2, "two"), (3, "three"), (4, "four"), (5, "five")
    ]  # fmt: skip
    assert [(event.name, event.outcome) for event in ended] == [
        ("two", "passed"), ("one", "passed"), ("three", "failed"), ("four", "error"), ("five", "skipped")
    ]  # fmt: skip


def test_a_step_knows_when_it_began(lab: Lab, fake: FakeLab) -> None:
    fake.now += 17
    with lab.step("one") as step:
        pass

    assert step.at == fake.now == lab.now()


def test_guests_and_their_cables(lab: Lab, fake: FakeLab) -> None:
    fake.answer("ip='192.168.65.4'\n")
    second = lab.add_guest()

    assert [guest.name for guest in lab.guests] == ["guest1", "guest2"]
    assert lab.guest is lab.guests[0]
    assert str(second.mac) == "52:54:00:65:00:02"
    assert {name: cable.name for name, cable in lab.cables.items()} == {
        "guest1": "cable",
        "guest2": "cable-guest2",
    }


def test_links_by_name(lab: Lab, fake: FakeLab) -> None:
    fake.frames(tcp_frame("S", to=("10.0.0.1", 1)), link="wifi-5g")

    assert lab.links.wifi_5g.packets() == lab.links["wifi-5g"].packets() != []
    assert list(lab.links) == ["wifi-5g"]
    assert len(lab.links) == 1
    assert lab.links.cable.packets() == lab.links["cable-dropped"].packets() == []


def test_a_link_that_there_is_not_saw_nothing_and_is_told(lab: Lab) -> None:
    with pytest.raises(DescriptionError, match="there is no link 'wfi': give one of cable"):
        lab.links.wfi.saw(lambda _: True)


def test_random_streams_follow_the_seed(lab: Lab) -> None:
    assert lab.seed == 42
    assert lab.rng("ports").random() == lab.rng("ports").random() != lab.rng("sizes").random()


def test_a_lab_without_guests_says_so(fake: FakeLab) -> None:
    fake.started.guests.clear()

    with pytest.raises(DescriptionError, match=r"no guest.*add_guest\(\)"):
        Lab(cast(LabProcess, fake)).guest  # noqa: B018


def test_a_lab_ends_with_its_context(lab: Lab, fake: FakeLab) -> None:
    with lab:
        lab.note("hello", level="warning")

    assert fake.closed
    assert [(e.text, e.level) for e in events(lab.artifacts, Noted) if isinstance(e, Noted)] == [
        ("hello", "warning")
    ]


def test_hosts_run_commands_of_this_machine(lab: Lab, fake: FakeLab) -> None:
    fake.answer("out")
    assert lab.laptop.run("ip route").stdout == "out"
    assert set(lab.hosts) == {"laptop", "internet"}

    fake.answer(stderr="sh: 1: exec: dig: not found", status=127)
    with pytest.raises(EnvironmentMissing, match=r"dig is not installed \(it asks for names"):
        lab.hosts["internet"].resolve("a.example")
    assert [cast(RunOn, run).host for run in fake.runs] == ["laptop", "internet"]


# Commands


def test_a_command_runs_in_the_guest(guest: Guest, fake: FakeLab) -> None:
    fake.answer("out\n", "err\n", status=3)

    ran = guest.run(["echo", "a b"], timeout=7.0, input="text")

    assert (ran.status, ran.ok, ran.stdout, ran.stderr) == (3, False, "out\n", "err\n")
    assert ran.command == "echo 'a b'"
    assert fake.runs == [Run(guest="guest1", command=["echo", "a b"], timeout=7.0, input=b"text")]


def test_a_checked_command_that_fails_is_an_error(guest: Guest, fake: FakeLab) -> None:
    fake.answer(stderr="no such file\n", status=2)

    with pytest.raises(GuestError, match="'cat x' on guest1 ended with status 2: no such file"):
        guest.run("cat x", check=True)


def test_requests_that_drive_the_guest(guest: Guest, fake: FakeLab) -> None:
    guest.link_down()
    guest.link_up()
    guest.reset(timeout=9.0)

    assert fake.requests[-3:] == [
        SetLink(guest="guest1", up=False),
        SetLink(guest="guest1", up=True),
        ResetGuest(guest="guest1", timeout=9.0),
    ]


# Verbs


@pytest.mark.parametrize("kind", ["qemu", "netns"])
def test_a_tool_that_the_image_lacks(lab: Lab, fake: FakeLab, kind: GuestKind) -> None:
    """A netns guest has the files of an image too, not this machine's."""
    guest = Guest(GuestInfo(name="guest1", mac="52:54:00:65:00:01", link="cable", kind=kind), lab._observer)
    fake.answer(stderr="sh: exec: line 0: dig: not found\n", status=127)

    with pytest.raises(GuestError, match="guest1 has no dig: use an image that has it"):
        guest.resolve("a.example")


def test_connect(guest: Guest, fake: FakeLab) -> None:
    fake.answer(stderr="remote 203.0.113.10 81\nlocal 192.168.65.3 40000\nerrno 111\ntook 0.004\n")

    attempt = guest.connect("shop.example", 81)

    assert attempt.refused
    assert not attempt.connected
    assert not attempt.unreachable
    assert not attempt.timed_out
    assert attempt.source == ("192.168.65.3", 40000)
    assert str(attempt.remote) == "203.0.113.10:81"
    assert attempt.seconds == 0.004
    fake.recorder.flush()
    (told,) = [e for e in events(fake.artifacts, VerbRun) if isinstance(e, VerbRun)]
    assert told.result == "ECONNREFUSED after 0.004 s"


def test_a_connect_that_sent_nothing_has_no_source(guest: Guest, fake: FakeLab) -> None:
    fake.answer(stderr="remote 10.1.0.1 7\nlocal 0.0.0.0 0\nerrno 101\ntook 0.0\n")

    attempt = guest.connect("10.1.0.1", 7)

    assert attempt.unreachable
    with pytest.raises(GuestError, match=r"connect to 10.1.0.1 port 7 sent nothing.*ENETUNREACH"):
        attempt.source  # noqa: B018


def test_udp_echo(guest: Guest, fake: FakeLab) -> None:
    fake.answer("hello", "remote 203.0.113.30 7\nlocal 192.168.65.3 40000\ndone\ntook 0.1\n")
    assert guest.udp_echo("echo.example", 7, "hello") == b"hello"
    assert fake.runs[-1].command == "perl - udp echo.example 7 5 4"
    assert fake.runs[-1].input.endswith(b"\n__END__\nhello")

    fake.answer("", "remote 203.0.113.30 7\nlocal 192.168.65.3 40000\ngave-up\ntook 0.1\n")
    assert guest.udp_echo("echo.example", 7, b"hello") is None

    fake.answer("", "remote 203.0.113.30 9\nlocal 192.168.65.3 40000\ndone\ntook 0.1\n")
    assert guest.udp_send("echo.example", 9, b"x") == Endpoint("192.168.65.3", 40000)

    fake.answer("", "unresolved Name or service not known\ntook 0\n")
    with pytest.raises(GuestError, match=r"could not send to nowhere port 9: UNRESOLVED \(Name or"):
        guest.udp_send("nowhere", 9, b"x")


def test_half_close(lab: Lab, guest: Guest, fake: FakeLab) -> None:
    payload = b"all of it"
    reply = f"{len(payload)} {hashlib.sha256(payload).hexdigest()}\n"
    fake.answer(reply, "local 192.168.65.3 40000\nsent 9\ndone\ntook 0.1\n")
    fake.answer("8 0000\n", "local 192.168.65.3 40000\nsent 9\ndone\ntook 0.1\n")
    fake.answer(reply, "local 192.168.65.3 40000\nsent 3\nerrno 104\ntook 0.1\n")

    assert guest.half_close("echo.example", 9007, payload).intact
    assert not guest.half_close("echo.example", 9007, payload).intact
    torn = guest.half_close("echo.example", 9007, payload)
    assert (torn.intact, torn.ok, torn.error, torn.sent) == (False, False, "ECONNRESET", b"all")
    fake.recorder.flush()
    told = [event for event in events(lab.artifacts, VerbRun) if isinstance(event, VerbRun)][-1]
    assert told.result == f"ECONNRESET, 3 bytes sent, {len(reply)} received"


def curl(*headers: tuple[str, str], **fields: object) -> str:
    """What curl tells of a request on its standard error."""
    told = {
        "http_code": 200, "exitcode": 0, "errormsg": None, "size_download": 1000, "size_upload": 0,
        "time_total": 0.5,
        "local_ip": "192.168.65.3", "local_port": 40000, "remote_ip": "203.0.113.20", "remote_port": 80,
    }  # fmt: skip
    return json.dumps(told | fields) + json.dumps({name: [value] for name, value in headers})


def test_download(guest: Guest, fake: FakeLab) -> None:
    fake.answer("abc  -\n", curl(("x-sha256", "abc")))

    transfer = guest.download("files.example", size="1000")

    assert transfer.intact
    assert transfer.url == "http://files.example/size/1000"
    assert (transfer.bytes, transfer.seconds, transfer.speed) == (1000, 0.5, 16000.0)
    assert transfer.source == Endpoint("192.168.65.3", 40000)


def test_a_download_that_is_not_intact(guest: Guest, fake: FakeLab) -> None:
    fake.answer("abd  -\n", curl(("x-sha256", "abc")))
    assert not guest.download("http://files.example/size/1000").intact

    fake.answer("abc  -\n", curl())
    assert not guest.download("http://files.example/").intact

    torn = curl(("x-sha256", "abc"), exitcode=18, errormsg="transfer closed", local_port=0, remote_port=0)
    fake.answer("abc  -\n", torn)
    transfer = guest.download("http://files.example/size/1000")
    assert (transfer.intact, transfer.error) == (False, "curl: (18) transfer closed")
    with pytest.raises(GuestError, match=r"size/1000 sent nothing.*: curl: \(18\) transfer closed"):
        transfer.source  # noqa: B018


def test_upload(guest: Guest, fake: FakeLab) -> None:
    fake.answer(f"abc  -\n{json.dumps({'sha256': 'abc', 'size': 10 << 20})}", curl(size_upload=10 << 20))
    sent = guest.upload("files.example", size="10MiB")
    assert sent.intact
    assert sent.bytes == 10 << 20
    assert "head -c 10485760 " in str(fake.runs[-1].command)

    fake.answer("abc  -\nInternal Server Error", curl(http_code=500))
    assert not guest.upload("files.example", size=5).intact


def test_fetch(guest: Guest, fake: FakeLab) -> None:
    fake.answer("<p>", curl(("location", "/x"), http_code=302))
    page = guest.fetch(
        "http://shop.example/", data={"a": "b c"}, proxy="http://p:3128", trust="PEM", to="10.0.0.1"
    )
    assert (page.status, page.location, page.body, page.ok, page.error) == (302, "/x", b"<p>", False, "")
    assert isinstance(fake.runs[-1], Run)
    words = shlex.split(str(fake.runs[-1].command))
    for option, value in (
        ("--data-urlencode", "a=b c"), ("--proxy", "http://p:3128"), ("--cacert", "/proc/self/fd/0"),
        ("--connect-to", "::10.0.0.1:"), ("--max-time", "20"),
    ):  # fmt: skip
        assert words[words.index(option) + 1] == value
    assert fake.runs[-1].input == b"PEM"
    assert "--ipv4" in words

    fake.answer("hal", curl(exitcode=18, errormsg="transfer closed"))
    cut = guest.fetch("http://shop.example/", data={}, family=0)
    assert (cut.status, cut.body, cut.ok, cut.error) == (200, b"hal", False, "curl: (18) transfer closed")
    words = shlex.split(str(fake.runs[-1].command))
    assert words[words.index("--data") + 1] == ""
    assert not {"--proxy", "--cacert", "--connect-to", "--ipv4"} & set(words)


def test_a_transfer_without_curl(guest: Guest, fake: FakeLab) -> None:
    fake.answer("e3b0c442  -\n", "sh: curl: not found\n")

    with pytest.raises(GuestError, match="guest1 has no curl"):
        guest.download("http://files.example/")


def test_a_ping_of_a_name_that_nobody_knows(guest: Guest, fake: FakeLab) -> None:
    fake.answer(stderr="ping: nowhere: Name or service not known\n", status=2)

    ping = guest.ping("nowhere")

    assert (ping.sent, ping.received, ping.errors) == (0, 0, ["ping: nowhere: Name or service not known"])


def test_a_lease_and_none(guest: Guest, fake: FakeLab) -> None:
    fake.answer("ip='192.168.65.3'\nrouter='192.168.65.1'\n")
    assert guest.lease().router == "192.168.65.1"

    fake.answer(status=143)
    with pytest.raises(GuestError, match="guest1 has no lease after 2 s"):
        guest.lease(within=2)


def test_verbs_speak_ipv6_to_an_address_of_ipv6(guest: Guest, fake: FakeLab) -> None:
    told = "remote 2001:db8:0:0:0:0:0:10 81\nlocal fd65:0:0:0:0:0:0:3 40000\nerrno 111\ntook 0.004\n"
    fake.answer(stderr=told)
    attempt = guest.connect("2001:db8::10", 81)
    assert fake.runs[-1].command == "perl - connect 2001:db8::10 81 10 6"
    assert attempt.source == Endpoint("fd65::3", 40000)

    fake.answer("1 packets transmitted, 1 received\n")
    guest.ping("2001:db8::10", count=1)
    assert str(fake.runs[-1].command).startswith("ping -n -6 -c 1 ")

    fake.answer("1 packets transmitted, 1 received\n")
    guest.ping("shop.example", family=6)
    assert str(fake.runs[-1].command).startswith("ping -n -6 ")

    fake.answer("abc  -\n", curl())
    guest.download("2001:db8::20", size=1000)
    assert " --ipv6 " in str(fake.runs[-1].command)
    assert "http://[2001:db8::20]/size/1000" in str(fake.runs[-1].command)

    fake.answer("abc  -\n", curl())
    guest.download("http://files.example:80/", family=0)
    assert " --ipv" not in str(fake.runs[-1].command)


def test_a_guest_without_ipv6_and_one_without_dhcpv6(guest: Guest, fake: FakeLab) -> None:
    fake.answer(status=143)
    with pytest.raises(GuestError, match="guest1 has no IPv6 after 2 s"):
        guest.autoconfiguration(within=2)

    fake.answer("new_domain_name_servers='fd65::1 '\n===\nfd65::5d\n")
    assert guest.dhcpv6(stateful=True).addresses == ["fd65::5d"]
    assert fake.runs[-1].command == ["/usr/lib/guestnet/dhcp6", "lease", "15"]

    fake.answer(status=1)
    with pytest.raises(GuestError, match="guest1 got no answer by DHCPv6 in 15 s"):
        guest.dhcpv6()
