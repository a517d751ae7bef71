"""A resolver's policy in virtual time: whom it asks, how long it waits, and whose answer it takes."""

import heapq
from collections.abc import Callable, Sequence
from itertools import count

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestnet.core.time import SECOND
from guestnet.services.dns.forwarding import (
    PER_SERVER,
    SHUNNED,
    Answered,
    AskServer,
    ForgetServer,
    Forwarder,
    Outcome,
)
from guestnet.wire.dns import octets

START = 1_700_000_000 * SECOND
MS = SECOND // 1000
ONE, TWO = "192.0.2.1", "192.0.2.2"

Behaviour = Callable[[dns.message.Message, bool], tuple[int, bytes | None] | None]
"""After how long a server answers a query, over TCP or not, and how: None for an error, or for never."""


def good(after: int = 10 * MS, rcode: str = "NOERROR") -> Behaviour:
    def answer(query: dns.message.Message, stream: bool) -> tuple[int, bytes]:
        made = dns.message.make_response(query)
        made.set_rcode(dns.rcode.from_text(rcode))
        return after, octets(made)

    return answer


def silent(query: dns.message.Message, stream: bool) -> None:
    return None


def refused(query: dns.message.Message, stream: bool) -> tuple[int, None]:
    return MS, None


def large(over_tcp: Behaviour) -> Behaviour:
    def answer(query: dns.message.Message, stream: bool) -> tuple[int, bytes | None] | None:
        if stream:
            return over_tcp(query, stream)
        made = dns.message.make_response(query)
        made.flags |= dns.flags.TC
        return 10 * MS, octets(made)

    return answer


class Network:
    """Carries out what a forwarder says, among servers that each have their behaviour."""

    def __init__(self, servers: dict[str, Behaviour], *, limit: int = 512) -> None:
        self.servers = servers
        self.forwarder = Forwarder(limit=limit)
        self.now = START
        self.asked: list[tuple[int, str, bool]] = []
        """Milliseconds since the start, server, and whether over TCP."""
        self.open: dict[int, AskServer] = {}
        self.over: dict[int, tuple[int, bytes | None]] = {}
        """When, in milliseconds, and with which answer a query was over."""
        self._coming: list[tuple[int, int, int, bytes | None]] = []
        self._order = count()

    def ask(self, number: int, name: str = "shop.example", servers: Sequence[str] = ()) -> None:
        query = dns.message.make_query(name, "A").to_wire()
        self._carry_out(self.forwarder.ask(number, query, servers or list(self.servers), self.now))

    def run(self, until: int | None = None) -> None:
        """Until nothing is to come any more, or for ``until`` nanoseconds from now."""
        end = None if until is None else self.now + until
        while True:
            times = [self._coming[0][0]] if self._coming else []
            if (poll_at := self.forwarder.poll_at()) is not None:
                times.append(poll_at)
            if not times or (end is not None and min(times) > end):
                break
            self.now = max(self.now, min(times))
            if self._coming and self._coming[0][0] <= self.now:
                _, _, token, answer = heapq.heappop(self._coming)
                if token not in self.open:
                    continue
                del self.open[token]
                if answer is None:
                    self._carry_out(self.forwarder.failed(token, self.now))
                else:
                    self._carry_out(self.forwarder.answered(token, answer, self.now))
            else:
                self._carry_out(self.forwarder.due(self.now))
        self.now = self.now if end is None else end

    def rcode(self, number: int) -> str | None:
        """Of the answer to a query that is over."""
        answer = self.over[number][1]
        return None if answer is None else dns.rcode.to_text(dns.message.from_wire(answer).rcode())

    def _carry_out(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            if isinstance(outcome, Answered):
                assert outcome.number not in self.over
                self.over[outcome.number] = ((self.now - START) // MS, outcome.answer)
            elif isinstance(outcome, ForgetServer):
                del self.open[outcome.token]
            else:
                self.open[outcome.token] = outcome
                self.asked.append(((self.now - START) // MS, outcome.server, outcome.stream))
                said = self.servers[outcome.server](dns.message.from_wire(outcome.query), outcome.stream)
                if said is not None:
                    coming = (self.now + said[0], next(self._order), outcome.token, said[1])
                    heapq.heappush(self._coming, coming)


def test_the_first_server_is_asked_and_nobody_else() -> None:
    network = Network({ONE: good(), TWO: good()})
    network.ask(1)
    network.run()
    assert network.asked == [(0, ONE, False)]
    assert network.over[1][0] == 10
    assert network.rcode(1) == "NOERROR"
    assert not network.open


@pytest.mark.parametrize("rcode", ["SERVFAIL", "REFUSED", "NOTIMP"])
def test_who_does_not_help_lets_the_next_one_try(rcode: str) -> None:
    network = Network({ONE: good(rcode=rcode), TWO: good()})
    network.ask(1)
    network.run()
    assert network.asked == [(0, ONE, False), (10, TWO, False)]
    assert network.rcode(1) == "NOERROR"


def test_nxdomain_is_an_answer() -> None:
    network = Network({ONE: good(rcode="NXDOMAIN"), TWO: good()})
    network.ask(1)
    network.run()
    assert (network.rcode(1), len(network.asked)) == ("NXDOMAIN", 1)


def test_the_last_failure_is_given_when_there_is_nothing_better() -> None:
    network = Network({ONE: good(rcode="SERVFAIL"), TWO: good(rcode="REFUSED")})
    network.ask(1)
    network.run()
    assert (network.rcode(1), len(network.asked)) == ("REFUSED", 2)


def test_a_closed_port_costs_no_time_and_its_server_keeps_its_place() -> None:
    network = Network({ONE: refused, TWO: good()})
    for number in (1, 2):
        network.ask(number)
        network.run()
    assert network.asked == [(0, ONE, False), (1, TWO, False), (11, ONE, False), (12, TWO, False)]


def test_a_silent_server_costs_its_time_once_and_not_with_each_name() -> None:
    network = Network({ONE: silent, TWO: good()})
    network.ask(1)
    network.run()
    assert network.asked == [(0, ONE, False), (2000, TWO, False)]
    network.ask(2)
    network.run()
    assert network.asked[2:] == [(2010, TWO, False)]
    assert network.over[2][0] == 2020


def test_after_a_while_a_silent_server_is_asked_first_again() -> None:
    network = Network({ONE: silent, TWO: good()})
    network.ask(1)
    network.run()
    network.servers[ONE] = good()
    network.run(SHUNNED)
    network.ask(2)
    network.run()
    assert [server for _, server, _ in network.asked] == [ONE, TWO, ONE]


def test_silent_servers_are_all_asked_twice_and_then_there_is_no_answer() -> None:
    network = Network({ONE: silent, TWO: silent})
    network.ask(1)
    network.run()
    assert network.asked == [(0, ONE, False), (2000, TWO, False), (4000, ONE, False), (6000, TWO, False)]
    assert network.over[1] == (8000, None)
    assert not network.open


def test_no_more_than_five_are_tried() -> None:
    servers: dict[str, Behaviour] = {f"192.0.2.{number}": silent for number in range(9)}
    network = Network(servers)
    network.ask(1)
    network.ask(2, servers=[ONE, TWO, "192.0.2.3"])
    network.run()
    assert [over for over, _ in network.over.values()] == [10_000, 10_000]


def test_a_slow_server_is_not_lost_though_others_are_asked_meanwhile() -> None:
    network = Network({ONE: good(2500 * MS), TWO: silent})
    network.ask(1)
    network.run()
    assert network.over[1][0] == 2500
    assert network.rcode(1) == "NOERROR"
    assert not network.open
    network.ask(2)
    assert network.asked[-1] == (2500, ONE, False), "it has answered, so it has its place again"


@pytest.mark.parametrize("late", [good(2500 * MS, "SERVFAIL"), lambda query, stream: (2500 * MS, None)])
def test_a_late_failure_hurries_nobody(late: Behaviour) -> None:
    network = Network({ONE: late, TWO: good(SECOND), "192.0.2.3": good()})
    network.ask(1)
    network.run()
    assert network.asked == [(0, ONE, False), (2000, TWO, False)]
    assert network.over[1][0] == 3000


def test_each_query_has_times_of_its_own() -> None:
    network = Network({ONE: silent, TWO: silent})
    network.ask(1)
    network.run(SECOND)
    network.ask(2)
    network.run()
    assert network.asked[:4] == [(0, ONE, False), (1000, ONE, False), (2000, TWO, False), (3000, TWO, False)]
    assert network.over == {1: (8000, None), 2: (9000, None)}


def test_only_some_silent_servers_are_remembered() -> None:
    network = Network({f"198.51.100.{number}": silent for number in range(65)})
    for number, server in enumerate(network.servers):
        network.ask(number, servers=[server])
    network.run(PER_SERVER)
    for number, oldest in enumerate(["198.51.100.0", "198.51.100.1"]):
        network.ask(100 + number, servers=["198.51.100.64", oldest])
    assert [server for _, server, _ in network.asked[-2:]] == ["198.51.100.0", "198.51.100.64"]


def test_a_lost_query_is_asked_again_and_the_first_socket_given_up() -> None:
    behaviours = iter([silent, good()])

    def lossy(query: dns.message.Message, stream: bool) -> tuple[int, bytes | None] | None:
        return next(behaviours)(query, stream)

    network = Network({ONE: lossy})
    network.ask(1)
    (first,) = network.open
    network.run(PER_SERVER)
    assert len(network.open) == 1
    assert first not in network.open
    network.run()
    assert network.over[1][0] == 2010
    assert network.rcode(1) == "NOERROR"


def test_a_truncated_answer_is_asked_for_over_tcp_of_the_same_server() -> None:
    network = Network({ONE: large(good(1500 * MS)), TWO: good()})
    network.ask(1)
    network.run()
    assert network.asked == [(0, ONE, False), (10, ONE, True)]
    assert network.over[1][0] == 1510


@pytest.mark.parametrize(("over_tcp", "after"), [(refused, 11), (silent, 2010)])
def test_without_tcp_the_next_server_is_asked(over_tcp: Behaviour, after: int) -> None:
    network = Network({ONE: large(over_tcp), TWO: good()})
    network.ask(1)
    network.run()
    assert network.asked == [(0, ONE, False), (10, ONE, True), (after, TWO, False)]
    assert network.rcode(1) == "NOERROR"


def test_a_truncated_answer_over_tcp_is_taken_as_it_is() -> None:
    def both(query: dns.message.Message, stream: bool) -> tuple[int, bytes | None] | None:
        return large(silent)(query, False)

    network = Network({ONE: both})
    network.ask(1)
    network.run()
    assert network.over[1][0] == 20


def test_a_jump_of_the_clock_ends_a_try_and_forgets_who_was_silent() -> None:
    network = Network({ONE: silent, TWO: good()})
    network.ask(1)
    network.now += 3600 * SECOND
    network.run()
    assert network.rcode(1) == "NOERROR"
    network.now += 3600 * SECOND
    network.ask(2)
    assert network.asked[-1][1] == ONE


def test_without_a_server_there_is_no_answer_at_once() -> None:
    network = Network({})
    network.ask(1)
    assert network.over[1] == (0, None)
    assert network.forwarder.poll_at() is None


def test_more_queries_than_there_may_be_have_no_answer() -> None:
    network = Network({ONE: good()}, limit=2)
    for number in (1, 2, 3):
        network.ask(number)
    assert network.over == {3: (0, None)}
    network.run()
    assert [network.rcode(number) for number in (1, 2)] == ["NOERROR"] * 2
    network.ask(4)
    network.run()
    assert network.rcode(4) == "NOERROR"


def test_who_gives_up_is_asked_for_no_more() -> None:
    network = Network({ONE: good()})
    network.ask(1)
    (token,) = network.open
    assert network.forwarder.give_up(1) == [ForgetServer(token)]
    assert network.forwarder.give_up(1) == []
    assert network.forwarder.answered(token, bytes(12), network.now) == []
    assert network.forwarder.failed(token, network.now) == []
    assert network.forwarder.poll_at() is None


BEHAVIOURS = st.one_of(
    st.builds(good, st.integers(0, 9000).map(lambda ms: ms * MS), st.sampled_from(["NOERROR", "SERVFAIL"])),
    st.just(silent),
    st.just(refused),
    st.builds(large, st.one_of(st.builds(good), st.just(silent), st.just(refused))),
)


@settings(max_examples=200)
@given(st.lists(BEHAVIOURS, max_size=5), st.lists(st.integers(0, 3000), min_size=1, max_size=6))
def test_whatever_servers_do_each_query_ends_once_and_leaves_no_socket(
    behaviours: list[Behaviour], pauses: list[int]
) -> None:
    network = Network({f"192.0.2.{number}": each for number, each in enumerate(behaviours)})
    for number, pause in enumerate(pauses):
        network.ask(number)
        network.run(pause * MS)
    network.run()
    assert sorted(network.over) == list(range(len(pauses)))
    assert not network.open
    assert network.forwarder.poll_at() is None
