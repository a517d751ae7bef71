"""One end of a tunnel: handshake, rekeying, replayed datagrams, signs of life. Pure: datagrams and time come
in, datagrams and news go out.

The initiator is the laptop's client, the responder the concentrator. A handshake takes one round trip: both
sides add a nonce, and the session's two keys, one for each direction, follow from these and from the key that
both have had from the beginning. The initiator repeats its initiation until it has a response, after `RETRY`
and then less often, down to every `SLOWEST_RETRY`: only the last one counts, and the way may be long. It
starts anew when a session is ``rekey`` old; the session before stays valid for what is still under way. The
responder sends with a new session only once it has heard something on it, as then the initiator has it.

Every ``keepalive`` the initiator sends an empty packet, which the responder answers. After `MISSED` of these
without any answer it holds the peer to be dead, says so, and goes on trying. Packets that come while there is
no session wait for one, up to `STAGED`, the oldest giving way.

Times are nanoseconds of any clock that does not go back.
"""

from collections import deque
from random import Random
from typing import Final, Literal

from guestnet.core.errors import WireError
from guestnet.core.time import MILLISECOND, earliest
from guestnet.world.vpn import datagram as wire
from guestnet.world.vpn.datagram import Initiation, Octets, Response, SealingKey, derive

RETRY: Final = 500 * MILLISECOND
SLOWEST_RETRY: Final = 4 * RETRY
MISSED: Final = 3
STAGED: Final = 128
WINDOW: Final = 2048
"""Counters that a datagram may be late by (RFC 6479 has reasons to be generous)."""

News = Literal["established", "rekeyed", "lost"]


class Session:
    """Keys, counters and the replay window of one handshake."""

    def __init__(self, local: int, remote: int, send: bytes, receive: bytes, began: int) -> None:
        """``local`` is the index that the other end writes into what is for this session."""
        self.local = local
        self.began = began
        self._remote = remote
        self._send = SealingKey(send)
        self._receive = SealingKey(receive)
        self._counter = 0
        self._highest = -1
        self._seen = 0

    def seal(self, packet: Octets) -> bytes:
        """The datagram with ``packet``."""
        counter = self._counter
        self._counter = counter + 1
        return self._send.data(self._remote, counter, packet)

    def open(self, datagram: memoryview, counter: int) -> memoryview:
        """The packet. Raises WireError when the tag is wrong, or the datagram was here before."""
        behind = self._highest - counter
        if behind >= 0 and (behind >= WINDOW or self._seen >> behind & 1):
            raise WireError(f"a data datagram that was here before, or is too late (counter {counter})")
        packet = self._receive.opened(datagram)
        if behind < 0:
            self._seen = (self._seen << -behind | 1) & ((1 << WINDOW) - 1) if -behind < WINDOW else 1
            self._highest = counter
        else:
            self._seen |= 1 << behind
        return packet


class Peer:
    """One end. After each call, `take_datagrams` and `take_news` give what came of it."""

    def __init__(self, key: bytes, rng: Random, *, is_initiator: bool, keepalive: int, rekey: int) -> None:
        """``key`` is what both ends know; ``keepalive`` and ``rekey`` in ns."""
        self.keepalive = keepalive
        self.rekey_after = rekey
        self._key = key
        self._handshake = SealingKey(derive(key, b"handshake"))
        self._rng = rng
        self._is_initiator = is_initiator
        self._sessions: dict[int, Session] = {}
        self._current: Session | None = None
        self._next: Session | None = None
        """The responder's, as long as the initiator may not have it."""
        self._asked: Initiation | None = None
        self._stamp = -1
        self._is_wanted = False
        self._was_up = False
        self._try_at = 0
        self._retry = RETRY
        self._sign_at = 0
        self._heard = 0
        self._staged: deque[bytes] = deque(maxlen=STAGED)
        self._datagrams: list[bytes] = []
        self._news: list[News] = []

    @property
    def is_up(self) -> bool:
        """Whether there is a session."""
        return self._current is not None

    def take_datagrams(self) -> list[bytes]:
        """What is to be sent."""
        datagrams, self._datagrams = self._datagrams, []
        return datagrams

    def take_news(self) -> list[News]:
        """What happened."""
        news, self._news = self._news, []
        return news

    # The initiator's orders

    def connect(self, now: int) -> None:
        """Ask for a session, again and again until there is one."""
        self._is_wanted = True
        self._try_at = now
        self._retry = RETRY
        self.poll(now)

    def disconnect(self) -> None:
        """Forget every session and ask for none."""
        self._is_wanted = False
        self._was_up = False
        self._forget()
        self._staged.clear()

    def renew(self, now: int, pause: int = 0) -> None:
        """Give the session up and ask for another one ``pause`` ns from now; until then packets wait."""
        self._forget()
        self._heard = now + pause
        self._try_at = now + pause
        self._retry = RETRY
        self.poll(now)

    # Packets and datagrams

    def seal(self, packet: Octets) -> bytes | None:
        """The datagram that carries ``packet``; None when it must wait for a session, or is lost for good."""
        if self._current is not None:
            return self._current.seal(packet)
        if self._is_wanted:
            self._staged.append(bytes(packet))
        return None

    def receive(self, datagram: memoryview, now: int) -> memoryview | None:
        """The packet that ``datagram`` carries, if any. Raises WireError when it is not from the other end:
        then nothing has changed, and its source means nothing."""
        kind = wire.kind_of(datagram)
        if kind == wire.DATA:
            return self._receive_data(datagram, now)
        if kind not in (wire.INITIATION, wire.RESPONSE):
            raise WireError(f"a datagram of type {kind}")
        message = self._handshake.parse(datagram)
        if isinstance(message, Initiation):
            self._respond(message, now)
        else:
            self._accept(message, now)
        return None

    def poll_at(self) -> int | None:
        """When `poll` has something to do."""
        if not self._is_wanted:
            return None
        if self._current is None:
            return self._try_at
        renewal = max(self._current.began + self.rekey_after, self._try_at)
        return earliest(renewal, self._sign_at, self._heard + MISSED * self.keepalive)

    def poll(self, now: int) -> None:
        """Do what is due."""
        if not self._is_wanted:
            return
        if self._current is not None and now - self._heard >= MISSED * self.keepalive:
            self._forget()
            self._staged.clear()
            self._was_up = False
            self._retry = RETRY
            self._news.append("lost")
        current = self._current
        if (current is None or now - current.began >= self.rekey_after) and now >= self._try_at:
            self._try_at = now + self._retry
            self._retry = min(2 * self._retry, SLOWEST_RETRY)
            # The stamp grows also when the clock stands still.
            self._stamp = max(now, self._stamp + 1)
            self._asked = Initiation(self._index(), self._rng.randbytes(wire.NONCE), self._stamp)
            self._datagrams.append(self._handshake.emit(self._asked))
        if current is not None and now >= self._sign_at:
            self._sign_at = now + self.keepalive
            self._datagrams.append(current.seal(b""))

    # Inside

    def _receive_data(self, datagram: memoryview, now: int) -> memoryview | None:
        receiver, counter = wire.data_of(datagram)
        session = self._sessions.get(receiver)
        if session is None:
            raise WireError(f"a data datagram for {receiver:08x}, which is no session")
        packet = session.open(datagram, counter)
        self._heard = now
        if session is self._next:
            self._next = None
            self._take(session)
        if packet:
            return packet
        if not self._is_initiator and self._current is not None:
            self._datagrams.append(self._current.seal(b""))
        return None

    def _respond(self, message: Initiation, now: int) -> None:
        if self._is_initiator:
            raise WireError("an initiation for an initiator")
        if message.stamp <= self._stamp:
            raise WireError("an initiation that was here before")
        self._stamp = message.stamp
        response = Response(self._index(), message.sender, self._rng.randbytes(wire.NONCE))
        up, down = self._keys(message.nonce, response.nonce)
        self._next = Session(response.sender, message.sender, down, up, now)
        self._add(self._next)
        self._datagrams.append(self._handshake.emit(response))

    def _accept(self, message: Response, now: int) -> None:
        asked = self._asked
        if asked is None or message.receiver != asked.sender:
            raise WireError("a response that nobody waits for")
        self._asked = None
        self._retry = RETRY
        up, down = self._keys(asked.nonce, message.nonce)
        self._heard = now
        session = Session(asked.sender, message.sender, up, down, now)
        self._add(session)
        self._take(session)
        # The responder waits for a sign that we have the session.
        self._sign_at = now + self.keepalive
        self._datagrams.append(session.seal(b""))
        while self._staged:
            self._datagrams.append(session.seal(self._staged.popleft()))

    def _take(self, session: Session) -> None:
        self._current = session
        self._news.append("rekeyed" if self._was_up else "established")
        self._was_up = True

    def _add(self, session: Session) -> None:
        """Keep it beside the current one; older ones are not valid any more."""
        kept = [each for each in (self._current, session) if each is not None]
        self._sessions = {each.local: each for each in kept}

    def _forget(self) -> None:
        self._sessions.clear()
        self._current = self._next = self._asked = None

    def _keys(self, initiator: bytes, responder: bytes) -> tuple[bytes, bytes]:
        """That of what the initiator sends, and that of what the responder sends."""
        up = derive(self._key, b"up", initiator, responder)
        return up, derive(self._key, b"down", initiator, responder)

    def _index(self) -> int:
        while (index := self._rng.getrandbits(32)) in self._sessions:
            continue
        return index
