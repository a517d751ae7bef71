"""What the kernel's WireGuard leaves to the client: to connect, to find the concentrator dead, to change keys
when it is told to. Pure: what the kernel says of both ends and the time come in, deeds and news go out.

WireGuard has no sessions that begin and end. A handshake takes place when there is something to send; its
time and the octets that each end has received are all that the kernel tells. So:

- *Connected* is who sees the time of a handshake that was not there before. Until then there is another
  initiation every `RETRY`, then less often, as long way and an answer under way are lost by a new one.
- Every ``keepalive`` the client sends an empty packet, and the concentrator answers when it has received
  something. After `MISSED` of these in which nothing has arrived, the client says so and goes on trying.
- Keys are changed after ``rekey``, but not within `RETRY`; or when the kernel does, within two minutes.
- In a pause the client has no keys, so its packets wait in the kernel, and the concentrator is mute.

`guestnet.world.vpn.session` does the same with datagrams of our own. Times are nanoseconds of any clock that
does not go back.
"""

from typing import Final, Literal, NamedTuple

from guestnet.core.time import MILLISECOND, earliest
from guestnet.world.vpn.session import MISSED, RETRY, SLOWEST_RETRY, News

_FIRST_LOOK: Final = 5 * MILLISECOND
_SLOWEST_LOOK: Final = 250 * MILLISECOND

Deed = Literal["initiate", "expire", "sign", "answer", "mute", "unmute"]
"""Start a handshake anew; let the keys expire; let the client, or the concentrator, send an empty packet; let
the concentrator hear and say nothing, or do so again."""


class Seen(NamedTuple):
    """What the kernel says of both ends."""

    handshake: int
    """When the client's last one was complete, in ns; 0 when there was none."""
    client: int
    """Octets that it has received."""
    concentrator: int
    source: str = ""
    """Where the concentrator sees the client."""


class Liveness:
    """Of one VPN. After each order `poll_at` says when to look, and `poll` what is to be done then."""

    def __init__(self, keepalive: int, rekey: int) -> None:
        """In ns."""
        self._keepalive = keepalive
        self._rekey = rekey
        self._is_wanted = False
        self._is_up = False
        self._is_silent = False
        self._is_mute = False
        self._seen: Seen | None = None
        self._resume_at: int | None = None
        self._try_at = 0
        self._retry = RETRY
        self._is_asked = False
        self._sign_at = 0
        self._is_signed = False
        self._missed = 0
        self._has_heard = False
        self._began = 0
        self._look_at = 0
        self._look = _FIRST_LOOK
        self._heard = 0
        self._has_to_expire = False
        self._news: list[News] = []

    def take_news(self) -> list[News]:
        """What happened."""
        news, self._news = self._news, []
        return news

    # Orders

    def connect(self, now: int) -> None:
        """Ask for a session, again and again until there is one."""
        if self._is_wanted and self._is_up:
            # It was lost and has just been found: whoever waits for that may not have heard it.
            self._news.append("established")
        elif not self._is_wanted:
            self._is_wanted = True
            self._seen = None
        if not self._is_up:
            self._ask_at(now)

    def disconnect(self) -> None:
        """Ask for none."""
        self._is_wanted = self._is_up = self._is_asked = self._is_signed = False
        self._resume_at = None

    def renew(self, now: int, pause: int = 0) -> None:
        """Give the session up and get another one ``pause`` ns from now."""
        if pause:
            self._has_to_expire = True
            self._resume_at = now + pause
        else:
            self._resume_at = None
            self._ask_at(now)

    def silence(self, is_silent: bool) -> None:
        """The concentrator is dead, or lives again."""
        self._is_silent = is_silent

    def tune(self, now: int, keepalive: int, rekey: int) -> None:
        """Other times."""
        self._keepalive, self._rekey = keepalive, rekey
        if self._is_up:
            self._sign_at = min(self._sign_at, now + keepalive)
            if not self._is_asked:
                self._try_at = max(self._began + max(rekey, RETRY), now)

    # Time

    def poll_at(self) -> int | None:
        """When `poll` has something to do; None: after the next order."""
        if self._is_mute is not self._must_be_mute or self._has_to_expire or self._news:
            return 0
        if not self._is_wanted:
            return None
        if self._resume_at is not None:
            return self._resume_at
        sign_at = self._sign_at if self._is_up else None
        look_at = self._look_at if self._is_asked or self._is_signed else None
        return earliest(self._try_at, sign_at, look_at)

    def poll(self, now: int, seen: Seen) -> list[Deed]:
        """What is to be done, in this order."""
        deeds: list[Deed] = []
        if self._resume_at is not None and now >= self._resume_at:
            self._resume_at = None
            self._ask_at(now)
        if self._is_mute is not self._must_be_mute:
            self._is_mute = self._must_be_mute
            deeds.append("mute" if self._is_mute else "unmute")
        if self._has_to_expire:
            self._has_to_expire = False
            deeds.append("expire")
        if not self._is_wanted:
            return deeds
        self._compare(now, seen)
        if self._resume_at is not None:
            return deeds
        if self._is_up and now >= self._sign_at:
            deeds += self._sign(now, seen)
        if now >= self._try_at:
            deeds.append("initiate")
            self._is_asked = True
            self._try_at = now + self._retry
            self._retry = min(2 * self._retry, SLOWEST_RETRY)
            self._look_soon(now)
        if self._is_signed and seen.concentrator != self._heard:
            self._is_signed = False
            deeds.append("answer")
        if now >= self._look_at:
            self._look_at = now + self._look
            self._look = min(2 * self._look, _SLOWEST_LOOK)
        return deeds

    # Inside

    @property
    def _must_be_mute(self) -> bool:
        return self._is_silent or self._resume_at is not None

    def _ask_at(self, at: int) -> None:
        self._try_at = at
        self._retry = RETRY
        self._sign_at = at + self._keepalive
        self._missed = 0
        self._has_heard = True

    def _compare(self, now: int, seen: Seen) -> None:
        """What has changed since the last time, for what is known of the handshake and of signs of life."""
        before = self._seen
        if before is None:
            self._seen = seen
            return
        if seen.handshake != before.handshake:
            self._news.append("rekeyed" if self._is_up else "established")
            self._is_up = True
            self._is_asked = False
            self._began = now
            self._ask_at(now + max(self._rekey, RETRY))
            self._sign_at = now + self._keepalive
        if seen.client != before.client:
            self._has_heard = True
        self._seen = seen

    def _sign(self, now: int, seen: Seen) -> list[Deed]:
        """It is time for a sign of life, and to count those that had no answer."""
        self._missed = 0 if self._has_heard else self._missed + 1
        self._has_heard = False
        self._sign_at = now + self._keepalive
        if self._missed >= MISSED:
            self._news.append("lost")
            self._is_up = self._is_signed = False
            self._ask_at(now)
            return []
        self._is_signed = True
        self._heard = seen.concentrator
        self._look_soon(now)
        return ["sign"]

    def _look_soon(self, now: int) -> None:
        self._look = 2 * _FIRST_LOOK
        self._look_at = now + _FIRST_LOOK
