"""The client of a WireGuard tunnel in virtual time, with a kernel and a network that the test is."""

from itertools import pairwise

from guestnet.core.time import MILLISECOND, SECOND
from guestnet.world.vpn.liveness import Deed, Liveness, Seen
from guestnet.world.vpn.session import MISSED, RETRY, SLOWEST_RETRY, News

KEEPALIVE, REKEY = 10 * SECOND, 120 * SECOND
WAY = 20 * MILLISECOND
"""There and back."""


class Kernel:
    """Both ends of a WireGuard tunnel, as far as its client sees them."""

    def __init__(self) -> None:
        self.now = 1000 * SECOND
        self.client = Liveness(KEEPALIVE, REKEY)
        self.way = WAY
        self.is_dead = False
        self.is_mute = False
        self.seen = Seen(handshake=0, client=0, concentrator=0)
        self.deeds: list[tuple[int, Deed]] = []
        self.news: list[News] = []
        self.keys_are_good = False
        self._handshake_at: int | None = None
        self._arrivals: list[tuple[int, str]] = []

    def wait(self, time: int) -> None:
        """Let ``time`` pass, doing what is due when it is."""
        until = self.now + time
        for _ in range(100_000):
            at = self.client.poll_at()
            if at is None or at > until:
                break
            self.now = max(self.now, at)
            self._arrive()
            for deed in self.client.poll(self.now, self.seen):
                self._do(deed)
            self.news += self.client.take_news()
        else:
            raise AssertionError("it never rests")
        self.now = until

    def connected(self) -> "Kernel":
        self.client.connect(self.now)
        self.wait(SECOND)
        assert self.news == ["established"]
        self.news.clear()
        self.deeds.clear()
        return self

    def done(self, *deeds: Deed) -> list[int]:
        """When it did them."""
        return [at for at, each in self.deeds if each in deeds]

    def rekey_itself(self) -> None:
        """As the kernel does after two minutes."""
        self.seen = self.seen._replace(handshake=self.now)

    def _do(self, deed: Deed) -> None:
        self.deeds.append((self.now, deed))
        gets_through = not self.is_dead and not self.is_mute
        if deed in ("mute", "unmute"):
            self.is_mute = deed == "mute"
        elif deed in ("initiate", "expire"):
            self.keys_are_good = False
            # What was under way is not waited for any more.
            self._handshake_at = self.now + self.way if deed == "initiate" and gets_through else None
        elif gets_through:
            self._arrivals.append((self.now + self.way // 2, deed))

    def _arrive(self) -> None:
        if self._handshake_at is not None and self.now >= self._handshake_at:
            self.keys_are_good = True
            self.seen = Seen(self._handshake_at, self.seen.client + 92, self.seen.concentrator + 148)
            self._handshake_at = None
        for at, deed in list(self._arrivals):
            if at <= self.now:
                self._arrivals.remove((at, deed))
                if deed == "sign":
                    self.seen = self.seen._replace(concentrator=self.seen.concentrator + 32)
                else:
                    self.seen = self.seen._replace(client=self.seen.client + 32)


def test_it_is_connected_when_there_is_a_handshake_that_was_not_there_before() -> None:
    kernel = Kernel()
    kernel.seen = Seen(handshake=999 * SECOND, client=1000, concentrator=1000)
    kernel.is_dead = True
    kernel.client.connect(kernel.now)
    kernel.wait(RETRY - 1)
    assert kernel.news == []
    kernel.is_dead = False
    kernel.wait(WAY * 4)
    assert kernel.news == ["established"]


def test_who_is_not_answered_asks_less_and_less_often_for_ever() -> None:
    kernel = Kernel()
    kernel.is_dead = True
    kernel.client.connect(kernel.now)
    kernel.wait(600 * SECOND)
    times = kernel.done("initiate")
    gaps = [after - before for before, after in pairwise(times)]
    assert gaps[:3] == [RETRY, 2 * RETRY, SLOWEST_RETRY]
    assert set(gaps[2:]) == {SLOWEST_RETRY}
    assert kernel.news == []


def test_an_answer_may_take_longer_than_the_first_retry() -> None:
    kernel = Kernel()
    kernel.way = 3 * RETRY
    kernel.client.connect(kernel.now)
    kernel.wait(8 * RETRY)
    assert kernel.news == ["established"]


def test_signs_of_life_go_both_ways_while_there_is_nothing_else() -> None:
    kernel = Kernel().connected()
    kernel.wait(6 * KEEPALIVE)
    assert len(kernel.done("sign")) == 6
    assert len(kernel.done("answer")) == 6
    assert kernel.news == []


def test_the_concentrator_answers_only_what_it_has_heard() -> None:
    kernel = Kernel().connected()
    kernel.is_dead = True
    kernel.wait(2 * KEEPALIVE)
    assert len(kernel.done("sign")) == 2
    assert kernel.done("answer") == []


def test_a_dead_concentrator_is_noticed_after_three_signs_and_found_again() -> None:
    kernel = Kernel().connected()
    kernel.wait(3 * KEEPALIVE)
    kernel.is_dead = True
    kernel.wait(MISSED * KEEPALIVE - KEEPALIVE)
    assert kernel.news == []
    kernel.wait(2 * KEEPALIVE)
    assert kernel.news == ["lost"]

    kernel.is_dead = False
    kernel.wait(SLOWEST_RETRY + SECOND)
    assert kernel.news == ["lost", "established"]


def test_traffic_is_a_sign_of_life_as_well() -> None:
    """A concentrator that does not answer, but sends: it may be the way that loses small packets."""
    kernel = Kernel().connected()
    kernel.is_dead = True
    for _ in range(10):
        kernel.wait(KEEPALIVE)
        kernel.seen = kernel.seen._replace(client=kernel.seen.client + 1000)
    assert kernel.news == []


def test_keys_change_in_time_and_when_the_kernel_wants_to() -> None:
    kernel = Kernel().connected()
    kernel.wait(REKEY + SECOND)
    assert kernel.news == ["rekeyed"]
    assert len(kernel.done("initiate")) == 1

    kernel.wait(REKEY // 2)
    kernel.rekey_itself()
    kernel.wait(REKEY - KEEPALIVE)
    assert kernel.news == ["rekeyed", "rekeyed"]
    assert len(kernel.done("initiate")) == 1


def test_other_times_hold_at_once() -> None:
    kernel = Kernel().connected()
    kernel.client.tune(kernel.now, SECOND // 5, SECOND)
    kernel.wait(10 * SECOND)
    assert len(kernel.done("sign")) >= 45
    assert 8 <= len(kernel.news) <= 10
    assert set(kernel.news) == {"rekeyed"}


def test_in_a_pause_there_are_no_keys_and_the_concentrator_is_mute() -> None:
    kernel = Kernel().connected()
    kernel.client.renew(kernel.now, 60 * SECOND)
    kernel.wait(60 * SECOND - 1)
    assert [deed for _, deed in kernel.deeds] == ["mute", "expire"]
    assert not kernel.keys_are_good
    assert kernel.news == []

    kernel.wait(SECOND)
    assert [deed for _, deed in kernel.deeds] == ["mute", "expire", "unmute", "initiate"]
    assert kernel.keys_are_good
    assert kernel.news == ["rekeyed"]


def test_a_pause_can_be_ended_and_a_silent_concentrator_stays_so_after_one() -> None:
    kernel = Kernel().connected()
    kernel.client.renew(kernel.now, 600 * SECOND)
    kernel.wait(SECOND)
    kernel.client.renew(kernel.now)
    kernel.wait(SECOND)
    assert kernel.news == ["rekeyed"]

    kernel.client.silence(is_silent=True)
    kernel.client.renew(kernel.now, 5 * SECOND)
    kernel.wait(100 * SECOND)
    assert kernel.is_mute
    assert kernel.news == ["rekeyed", "lost"]
    kernel.client.silence(is_silent=False)
    kernel.client.connect(kernel.now)
    kernel.wait(SECOND)
    assert kernel.news == ["rekeyed", "lost", "established"]


def test_after_the_end_nothing_is_done_and_the_next_connect_is_a_new_one() -> None:
    kernel = Kernel().connected()
    kernel.client.disconnect()
    kernel.wait(10 * REKEY)
    assert kernel.deeds == []
    assert kernel.client.poll_at() is None

    kernel.rekey_itself()
    kernel.is_dead = True
    kernel.client.connect(kernel.now)
    kernel.wait(SECOND)
    assert kernel.news == []
    kernel.is_dead = False
    kernel.wait(SLOWEST_RETRY + SECOND)
    assert kernel.news == ["established"]


def test_who_asks_again_while_it_is_up_is_told_so() -> None:
    kernel = Kernel().connected()
    kernel.client.connect(kernel.now)
    kernel.wait(0)
    assert kernel.news == ["established"]
    assert kernel.done("initiate") == []
