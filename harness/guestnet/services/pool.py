"""Who has which address: the bindings of a DHCP server, whatever the version.

A *binding* joins a client and an address for ever, until another client needs the address: so the same client
gets the same address back after a reset or an expiry::

    FREE ── offered ──▶ OFFERED ── bound ──▶ BOUND ── released, time ──▶ FREE (but remembered)
                           └── time, another server chosen ──▶ FREE
    BOUND, OFFERED ── declined ──▶ DECLINED (nobody's, for a while) ── time ──▶ gone

Addresses are handed out: the client's former one; the one it asks for; one that nobody ever had; the one
that is free for longest. Bindings are bounded by the pool. Nothing is timed: what is over is noticed when
somebody looks. Addresses are numbers here, clients octets.
"""

from enum import Enum


class State(Enum):
    """Of a binding."""

    OFFERED = 1
    BOUND = 2
    FREE = 3
    DECLINED = 4


class Binding:
    """``until`` is when the state ends; of a FREE one, since when it is free."""

    __slots__ = ("address", "client", "state", "until")

    def __init__(self, client: bytes, address: int, until: int) -> None:
        self.client = client
        self.address = address
        self.state = State.FREE
        self.until = until

    def settle(self, now: int) -> None:
        """An offer or lease whose time is over is free from then on."""
        if self.state in (State.OFFERED, State.BOUND) and now >= self.until:
            self.state = State.FREE

    def enter(self, state: State, until: int) -> None:
        """``state`` from now until then; for FREE: from then on."""
        self.state, self.until = state, until


class Pool:
    """Addresses ``first`` to ``last``, both included."""

    def __init__(self, first: int, last: int) -> None:
        self._first = first
        self._last = last
        self._by_client: dict[bytes, Binding] = {}
        self._by_address: dict[int, Binding] = {}

    def __len__(self) -> int:
        """How many bindings there are, or were and are remembered."""
        return len(self._by_address)

    def of(self, client: bytes) -> Binding | None:
        """What ``client`` has or had."""
        return self._by_client.get(client)

    def allocate(self, client: bytes, wanted: int | None, now: int) -> Binding | None:
        """The binding of ``client``, a new one if need be; None when nothing is free."""
        binding = self._by_client.get(client)
        if binding is not None:
            binding.settle(now)
            return binding
        number = wanted
        if number is None or not self.is_free(number, now):
            number = self._choose(now)
        return None if number is None else self.assign(client, number, now)

    def is_free(self, number: int, now: int) -> bool:
        """Whether the address is of the pool and nobody's."""
        if not self._first <= number <= self._last:
            return False
        binding = self._by_address.get(number)
        if binding is None:
            return True
        binding.settle(now)
        return binding.state == State.FREE or (binding.state == State.DECLINED and now >= binding.until)

    def assign(self, client: bytes, number: int, now: int) -> Binding:
        """The binding of ``client`` to a free address; whoever had either loses it."""
        former = self._by_address.pop(number, None)
        if former is not None and self._by_client.get(former.client) is former:
            del self._by_client[former.client]
        moved = self._by_client.pop(client, None)
        if moved is not None:
            self._by_address.pop(moved.address, None)
        binding = Binding(client, number, now)
        self._by_client[client] = self._by_address[number] = binding
        return binding

    def decline(self, binding: Binding, until: int) -> None:
        """The address is in use by somebody unknown: nobody's until then."""
        self._by_client.pop(binding.client, None)
        binding.enter(State.DECLINED, until)

    def _choose(self, now: int) -> int | None:
        oldest: Binding | None = None
        for number in range(self._first, self._last + 1):
            binding = self._by_address.get(number)
            if binding is None:
                return number
            if self.is_free(number, now) and (oldest is None or binding.until < oldest.until):
                oldest = binding
        return None if oldest is None else oldest.address
