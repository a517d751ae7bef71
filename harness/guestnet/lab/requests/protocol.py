"""What the client and the lab process say to each other.

One struct a request, and each names the type of its response: ``class Now(Request[int])``. A message is a
32-bit big-endian length and that many bytes of msgpack, over a unix socket pair that the lab inherits. The
client sends `Call`s, numbered; the lab answers each with `Answer` or `Failure` of the same number, in any
order, because it works on many at a time. Errors travel as class name, message and remedy, and are raised
again by the client as the same class of guestnet.core.errors.

A response may bring file descriptors (SCM_RIGHTS, unix(7)); they come with the first byte of its message.
"""

import typing
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

import msgspec

from guestnet.core import errors
from guestnet.core.events import AnyEvent
from guestnet.core.result import Ran
from guestnet.lab.requests.description import LabDescription
from guestnet.lab.requests.links import AnyLinkRequest
from guestnet.lab.requests.portal import AnyPortalRequest
from guestnet.lab.requests.request import R, Request
from guestnet.lab.requests.time import AnyTimeRequest
from guestnet.lab.requests.world import AnyWorldRequest

LENGTH: Final = 4
"""Bytes before each message that give its length, big-endian."""

HELLO: Final = 0
"""Number of the message that comes unasked: an `Answer` with a pidfd of the lab's init, or the `Failure` that
ends the lab."""

MESSAGE_LIMIT: Final = 64 << 20
"""A longer message is an error: it would be held in memory on both sides."""

Message = TypeVar("Message")


class GuestInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A guest; ``link`` is the name of its cable in the capture, ``mac`` its hardware address."""

    name: str
    mac: str
    link: str
    kind: str


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """Lengths of the journal and the capture in bytes, as far as readers of the files can see them."""

    journal: int
    capture: int


class LabStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What runs in the lab. ``pids`` are as the lab sees them: ``pids["lab"]`` is 2."""

    scenario: str
    stack: str
    world: str
    seconds: float
    guests: list[GuestInfo]
    hosts: list[str]
    servers: list[str]
    pids: dict[str, int]
    ended: dict[str, str]
    """Guests that are no more, and why."""
    capabilities: list[str] = []
    """Of the stack: see `guestnet.stacks.base.Stack`."""


class Start(Request[LabStatus], frozen=True, kw_only=True):
    """The first request, once: build the lab. The client sends it."""

    description: LabDescription
    artifacts: str
    proxy_python: str = ""
    """The interpreter that runs the world's proxies, if it has any."""


class Stop(Request[None], frozen=True, kw_only=True):
    """The last request: end the lab in good order; the answer comes when the artifacts are complete."""

    reason: str = "stopped"


class AddGuest(Request[GuestInfo], frozen=True, kw_only=True):
    """One more guest, on the lab's cable switch, up and with its agent answering."""


class Run(Request[Ran], frozen=True, kw_only=True):
    """A command in a guest: a list is executed as it is, a text is given to the guest's shell.

    Raises GuestError when it has not ended after ``timeout`` seconds.
    """

    guest: str
    command: str | list[str]
    timeout: float = 30.0
    input: bytes = b""


class RunOn(Request[Ran], frozen=True, kw_only=True):
    """A command on a host of the world ("laptop", "internet", …). Raises LabError when it takes too long."""

    host: str
    command: str | list[str]
    timeout: float = 30.0
    input: bytes = b""


class ReadFile(Request[bytes], frozen=True, kw_only=True):
    """A file of a guest. Raises GuestError when it can't be read."""

    guest: str
    path: str
    timeout: float = 30.0


class WriteFile(Request[None], frozen=True, kw_only=True):
    """Write a file of a guest, replacing what was there. Raises GuestError."""

    guest: str
    path: str
    content: bytes
    timeout: float = 30.0


class ResetGuest(Request[None], frozen=True, kw_only=True):
    """Press the guest's reset button; the answer comes when its agent answers again."""

    guest: str
    timeout: float = 60.0


class PauseGuest(Request[None], frozen=True, kw_only=True):
    """Stop the guest's processors."""

    guest: str


class ResumeGuest(Request[None], frozen=True, kw_only=True):
    """Let the guest's processors run again."""

    guest: str


class StopGuest(Request[None], frozen=True, kw_only=True):
    """End the guest. Its name stays taken."""

    guest: str


class SetLink(Request[None], frozen=True, kw_only=True):
    """Plug the guest's cable in or pull it out."""

    guest: str
    up: bool


class SnapshotGuest(Request[str], frozen=True, kw_only=True):
    """Keep the guest's memory and devices as they are now; the answer names it for RestoreGuest."""

    guest: str


class RestoreGuest(Request[None], frozen=True, kw_only=True):
    """Bring the guest back to a snapshot of it."""

    guest: str
    snapshot: str


class OpenConsole(Request[None], frozen=True, kw_only=True):
    """The guest's serial console, or a terminal in a namespace, as a connected stream socket that comes with
    the answer."""

    guest: str


class Record(Request[int], frozen=True, kw_only=True):
    """Write ``event`` into the journal; its ``at`` becomes the lab's own time, which is the answer."""

    event: AnyEvent


class Now(Request[int], frozen=True, kw_only=True):
    """The lab clock, in nanoseconds."""


class Activity(Request[Sizes], frozen=True, kw_only=True):
    """Flush journal and capture; answer when either is longer than given, or after ``timeout`` seconds."""

    journal: int
    capture: int
    timeout: float = 0.0


class Status(Request[LabStatus], frozen=True, kw_only=True):
    """What runs in the lab."""


AnyRequest = (
    Start
    | Stop
    | AddGuest
    | Run
    | RunOn
    | ReadFile
    | WriteFile
    | ResetGuest
    | PauseGuest
    | ResumeGuest
    | StopGuest
    | SetLink
    | SnapshotGuest
    | RestoreGuest
    | OpenConsole
    | Record
    | Now
    | Activity
    | Status
    | AnyWorldRequest
    | AnyPortalRequest
    | AnyLinkRequest
    | AnyTimeRequest
)


class Call(msgspec.Struct, frozen=True, array_like=True):
    """From the client: ``request``, numbered by the client."""

    number: int
    request: AnyRequest


class Answer(msgspec.Struct, frozen=True, array_like=True, tag="answer"):
    """From the lab: ``result`` is msgpack of the response type of the call's request."""

    number: int
    result: msgspec.Raw
    descriptors: int = 0
    """How many file descriptors came with the message."""


class Failure(msgspec.Struct, frozen=True, array_like=True, tag="failure"):
    """From the lab: the call raised. ``error`` is the name of a class in guestnet.core.errors."""

    number: int
    error: str
    message: str
    remedy: str = ""


_encoder: Final = msgspec.msgpack.Encoder()
_calls: Final = msgspec.msgpack.Decoder(Call)
_replies: Final[msgspec.msgpack.Decoder[Answer | Failure]] = msgspec.msgpack.Decoder(Answer | Failure)


def response_type(request: type[Request[Any]]) -> Any:
    """The type that ``request`` is answered with: the R of its ``Request[R]``."""
    (base,) = typing.cast(Any, request).__orig_bases__
    (response,) = typing.get_args(base)
    return response


def encode(message: Call | Answer | Failure) -> bytes:
    """``message`` with its length before it. Raises LabError when it is too long."""
    body = _encoder.encode(message)
    if len(body) > MESSAGE_LIMIT:
        raise errors.LabError(
            f"a message of {len(body)} bytes is too long for the lab's protocol",
            remedy=f"keep a file or an output below {MESSAGE_LIMIT >> 20} MiB",
        )
    return len(body).to_bytes(LENGTH, "big") + body


def encode_result(result: object) -> msgspec.Raw:
    """``result`` for an `Answer`."""
    return msgspec.Raw(_encoder.encode(result))


def decode_call(body: bytes) -> Call:
    """The inverse of `encode`, without the length. Raises LabError."""
    try:
        return _calls.decode(body)
    except msgspec.DecodeError as error:
        raise LabProtocolError(str(error)) from error


def decode_reply(body: bytes) -> Answer | Failure:
    """The inverse of `encode`, without the length. Raises LabError."""
    try:
        return _replies.decode(body)
    except msgspec.DecodeError as error:
        raise LabProtocolError(str(error)) from error


def split(buffer: bytearray, decode: Callable[[bytes], Message]) -> Iterator[Message]:
    """Take whole messages out of ``buffer``, where the bytes of a stream gather. Raises LabError."""
    while len(buffer) >= LENGTH:
        length = int.from_bytes(buffer[:LENGTH], "big")
        if length > MESSAGE_LIMIT:
            raise LabProtocolError(f"a message of {length} bytes")
        end = LENGTH + length
        if len(buffer) < end:
            return
        body = bytes(buffer[LENGTH:end])
        del buffer[:end]
        yield decode(body)


def decode_result(request: Request[R], answer: Answer) -> R:
    """The response that ``answer`` brings to ``request``. Raises LabError."""
    try:
        return typing.cast(R, msgspec.msgpack.decode(answer.result, type=response_type(type(request))))
    except msgspec.DecodeError as error:
        raise LabProtocolError(str(error)) from error


def failure_of(number: int, error: BaseException) -> Failure:
    """``error`` as it travels. One that is not of ours is our bug: a LabError that names its class."""
    if isinstance(error, errors.GuestnetError):
        for known in type(error).__mro__:
            if getattr(errors, known.__name__, None) is known:
                return Failure(number, known.__name__, error.message, error.remedy)
    what = f"{type(error).__name__}: {error}"
    return Failure(number, "LabError", f"the lab failed at a request ({what})", "lab.log has the traceback")


def error_of(failure: Failure) -> errors.GuestnetError:
    """The error that ``failure`` brought, to be raised."""
    known = getattr(errors, failure.error, errors.LabError)
    return typing.cast(errors.GuestnetError, known(failure.message, remedy=failure.remedy))


class LabProtocolError(errors.LabError):
    """Client and lab do not understand each other: they are of different versions, or one has a bug."""

    def __init__(self, detail: str) -> None:
        super().__init__(
            f"client and lab do not understand each other ({detail})",
            remedy="run both from the same guestnet version",
        )
