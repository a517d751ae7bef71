import typing

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestnet.core import errors
from guestnet.core.events import Noted
from guestnet.core.result import Ran
from guestnet.lab.requests import links as link_requests
from guestnet.lab.requests import portal as portal_requests
from guestnet.lab.requests import protocol
from guestnet.lab.requests import time as time_requests
from guestnet.lab.requests import world as world_requests
from guestnet.lab.requests.description import LabDescription
from guestnet.lab.requests.protocol import Answer, Call, Failure
from guestnet.lab.requests.request import Request
from guestnet.link.settings import NOTHING, Burst, Impairments, Schedule, Step
from guestnet.world.profiles.load import load_profile

REQUESTS = [
    protocol.Start(
        description=LabDescription(scenario="s", seed=7, profile=load_profile("plain")),
        artifacts="/somewhere",
    ),
    protocol.Stop(),
    protocol.AddGuest(),
    protocol.Run(guest="guest1", command=["ls", "-l"], timeout=1.5, input=b"\0\xff"),
    protocol.Run(guest="guest1", command="ls | wc"),
    protocol.RunOn(host="laptop", command="ip link"),
    protocol.ReadFile(guest="guest1", path="/etc/hosts"),
    protocol.WriteFile(guest="guest1", path="/x", content=bytes(range(256))),
    protocol.ResetGuest(guest="guest1"),
    protocol.PauseGuest(guest="guest1"),
    protocol.ResumeGuest(guest="guest1"),
    protocol.StopGuest(guest="guest1"),
    protocol.SetLink(guest="guest1", up=False),
    protocol.SnapshotGuest(guest="guest1"),
    protocol.RestoreGuest(guest="guest1", snapshot="1"),
    protocol.OpenConsole(guest="guest1"),
    protocol.Record(event=Noted(at=0, text="hello")),
    protocol.Now(),
    protocol.Activity(journal=1, capture=2),
    protocol.Status(),
    world_requests.ResolversOf(),
    world_requests.UplinkStates(),
    world_requests.SetUplink(uplink="wifi", up=False),
    world_requests.Roam(uplink=None),
    world_requests.RenumberUplink(uplink="wifi", addresses=("10.0.0.7/24",)),
    world_requests.VpnStates(),
    world_requests.SetVpn(vpn="corp", up=True),
    world_requests.DropVpn(vpn="corp"),
    world_requests.RekeyVpn(vpn="corp", pause=2.0),
    world_requests.ReconnectVpn(vpn="corp", addresses=("10.20.255.9/24",)),
    world_requests.ChangeVpn(vpn="corp", changes={"kill_switch": True, "mtu": 1280}),
    portal_requests.PortalStates(),
    portal_requests.ExpirePortal(portal="hotel"),
    portal_requests.SetPortal(portal="hotel", changes=portal_requests.Changes(redirect=511, udp=False)),
    portal_requests.AuthorityOf(),
    link_requests.SettingsOf(link="wifi"),
    link_requests.Impair(link="wifi", settings=Impairments(delay="1ms", loss=Burst("3%", 5)), direction="up"),
    link_requests.SetExactly(link="wifi", settings=link_requests.LinkSettings(up=NOTHING, down=NOTHING)),
    link_requests.Clear(link="wifi", settings=("loss",)),
    link_requests.FollowSchedule(link="wifi", schedule=Schedule(steps=(Step(at="1s"),))),
    link_requests.SetCarrier(link="wifi", carrier=False),
    time_requests.AdvanceClock(by=1),
    time_requests.SetClock(guest="guest1", at=5, ahead=-1),
    time_requests.FallAsleep(guests=False, uplinks=False),
    time_requests.WakeUp(uplinks=False, clocks=False),
]


def only(messages: typing.Iterable[typing.Any]) -> typing.Any:
    (message,) = messages
    return message


def test_every_request_is_tried_here() -> None:
    assert {type(request) for request in REQUESTS} == set(typing.get_args(protocol.AnyRequest))


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: type(request).__name__)
def test_a_request_arrives_as_it_was_sent(request_: protocol.AnyRequest) -> None:
    call = Call(5, request_)

    assert only(protocol.split(bytearray(protocol.encode(call)), protocol.decode_call)) == call


@pytest.mark.parametrize(
    ("request_", "response"),
    [
        (protocol.Now(), 1_700_000_000_000_000_000),
        (protocol.ReadFile(guest="g", path="/"), b"\0\1"),
        (protocol.Stop(), None),
        (REQUESTS[3], Ran(status=-9, stdout_bytes=b"\xff", stderr_bytes=b"", seconds=0.5)),
        (
            protocol.AddGuest(),
            protocol.GuestInfo(name="guest1", mac="52:54:00:65:00:01", link="cable", kind="qemu"),
        ),
    ],
)
def test_a_response_arrives_as_the_type_that_its_request_names(
    request_: Request[object], response: object
) -> None:
    answer = Answer(5, protocol.encode_result(response))
    arrived = only(protocol.split(bytearray(protocol.encode(answer)), protocol.decode_reply))

    assert protocol.decode_result(request_, arrived) == response


@pytest.mark.parametrize(
    "kind",
    [
        errors.WireError,
        errors.ExpectationFailed,
        errors.EnvironmentMissing,
        errors.DescriptionError,
        errors.GuestError,
        errors.LabError,
    ],
)
def test_an_error_is_raised_again_as_the_same_class(kind: type[errors.GuestnetError]) -> None:
    failure = protocol.failure_of(5, kind("what", remedy="how"))
    arrived = only(protocol.split(bytearray(protocol.encode(failure)), protocol.decode_reply))
    error = protocol.error_of(arrived)

    assert type(error) is kind
    assert (error.message, error.remedy) == ("what", "how")


def test_an_error_of_a_subclass_is_raised_as_the_class_that_both_sides_know() -> None:
    class Special(errors.GuestError):
        pass

    assert type(protocol.error_of(protocol.failure_of(5, Special("what")))) is errors.GuestError


def test_our_own_bug_crosses_as_a_lab_error_that_names_it() -> None:
    error = protocol.error_of(protocol.failure_of(5, KeyError("x")))

    assert type(error) is errors.LabError
    assert "KeyError" in error.message


@given(st.lists(st.integers(0, 300)), st.integers(1, 50))
def test_messages_are_found_however_the_stream_is_cut(lengths: list[int], piece: int) -> None:
    replies = [Failure(n, "LabError", "x" * length) for n, length in enumerate(lengths)]
    stream = b"".join(map(protocol.encode, replies))
    buffer = bytearray()
    found: list[Answer | Failure] = []
    for start in range(0, len(stream), piece):
        buffer += stream[start : start + piece]
        found += protocol.split(buffer, protocol.decode_reply)

    assert found == replies
    assert not buffer


@pytest.mark.parametrize("stream", [b"\xff\xff\xff\xff", b"\0\0\0\1\xc1", b"\0\0\0\2\x92\x01"])
def test_bytes_that_are_no_message_are_an_error(stream: bytes) -> None:
    with pytest.raises(errors.LabError, match="do not understand"):
        list(protocol.split(bytearray(stream), protocol.decode_call))


def test_a_message_that_is_too_long_is_not_sent() -> None:
    with pytest.raises(errors.LabError, match="too long"):
        protocol.encode(Answer(1, protocol.encode_result(bytes(protocol.MESSAGE_LIMIT + 1))))


def test_an_unknown_request_is_an_error() -> None:
    with pytest.raises(errors.LabError):
        protocol.decode_call(msgspec.msgpack.encode([1, {"do": "Dance"}]))
