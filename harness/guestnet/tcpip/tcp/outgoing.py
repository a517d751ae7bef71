"""What a connection sends, and when: its timers, and runs of data made into segments.

A keepalive (RFC 9293 3.8.4), off unless ``Config.keepalive`` is told, asks a peer that was silent for so long
whether it is still there: a segment of one sequence number too early, which has to be answered. While
something is in flight, or the window is closed, the other timers are the judges.

ECN (RFC 3168): new data may be sent ECN-capable, what is sent again, probes and bare ACKs must not be (6.1.4
to 6.1.6). So one ``transmit`` returns only segments of which ``ect`` says the same. ECE is in every
acknowledgment from a CE mark until the peer's CWR; CWR is in the first new segment after the window was
reduced.
"""

from collections.abc import Sequence
from typing import Final

from guestnet.core.time import SECOND, earliest
from guestnet.tcpip.tcp.bulk import segment_runs
from guestnet.tcpip.tcp.events import Aborted
from guestnet.tcpip.tcp.opening import Opening
from guestnet.tcpip.tcp.output import ACK, CWR, ECE, FIN, PSH, Template
from guestnet.tcpip.tcp.outstanding import Cut
from guestnet.tcpip.tcp.sequence import MASK
from guestnet.tcpip.tcp.state import SENDING, State
from guestnet.wire.octets import Octets

BATCH: Final = 256 * 1024
"""Octets of payload that one ``transmit`` returns at most, so that one flow does not hold up the others."""


class Outgoing(Opening):
    """Between ``Opening`` and ``Connection``."""

    __slots__ = ()

    def poll_at(self) -> int | None:
        """When ``on_timer`` and ``transmit`` are due; None: not before something else happens."""
        if self._outbox or self._syn_due or self._more_due or self.receiver.ack_due:
            return self._now
        sender = self.sender
        return earliest(
            sender.rto_at, sender.probe_at, sender.reorder_at, sender.persist_at,
            self.receiver.delayed_ack_at, self.keepalive_at, self.time_wait_at,
        )  # fmt: skip

    @property
    def has_more(self) -> bool:
        """Whether ``transmit`` has more to return than it did."""
        return self._more_due

    @property
    def is_silent(self) -> bool:
        """Whether nothing is to be sent, now or as soon as windows and time allow."""
        return not (
            self._outbox or self._syn_due or self._more_due or self.receiver.ack_due
            or self.sender.has_unsent
        )  # fmt: skip

    def on_timer(self, now: int) -> None:
        """Do what is due; harmless when nothing is. ``transmit`` comes after it."""
        self._now = now
        sender, receiver = self.sender, self.receiver
        if receiver.delayed_ack_at is not None and now >= receiver.delayed_ack_at:
            receiver.ack_due = True
        if self.time_wait_at is not None and now >= self.time_wait_at:
            self._close()
        if sender.reorder_at is not None and now >= sender.reorder_at:
            sender.on_reorder_timer(now)
        if sender.probe_at is not None and now >= sender.probe_at:
            # Before the RTO, which it puts off (RFC 8985 7.3).
            self._outbox += self._emit_run(sender.on_probe(now), self._template(now))
        if sender.rto_at is not None and now >= sender.rto_at:
            self._on_rto(now)
        if sender.persist_at is not None and now >= sender.persist_at:
            if sender.retries >= self._config.retries:
                self._die(Aborted(f"the closed window was probed {sender.retries} times without an answer"))
            else:
                self._outbox += self._emit_run(sender.on_persist(now), self._template(now))

        if self.keepalive_at is not None and now >= self.keepalive_at:
            self._on_keepalive(now)

    def _keep(self, now: int) -> None:
        """The peer was heard of."""
        self.keepalive_at = now + self._config.keepalive
        self._keepalives = 0

    def _on_keepalive(self, now: int) -> None:
        sender, config = self.sender, self._config
        if sender.snd_una < sender.end:
            self._keep(now)
        elif self._keepalives >= config.keepalive_probes:
            silent = (config.keepalive + config.keepalive_probes * config.keepalive_interval) // SECOND
            self._send_now(self._emitter.rst(sender.snd_nxt, self.receiver.rcv_nxt))
            self._die(Aborted(f"the peer was silent for {silent} s and {self._keepalives} keepalives"))
        else:
            self._keepalives += 1
            self.keepalive_at = now + config.keepalive_interval
            self._send_now(self._template(now).segment((sender.snd_nxt - 1) & MASK, 0))

    def _on_rto(self, now: int) -> None:
        sender = self.sender
        opening = self.state in (State.SYN_SENT, State.SYN_RECEIVED)
        if sender.retries >= (self._config.syn_retries if opening else self._config.retries):
            what = "SYN" if opening else "data"
            self._die(Aborted(f"{what} was sent {sender.retries + 1} times without an acknowledgment"))
            return
        sender.on_rto(now)
        self._syn_due = opening

    def transmit(self, now: int) -> list[Octets]:
        """The segments due now: at most ``BATCH`` octets of data, so call it until nothing comes.

        All of them are to be sent with ECT(0) in the IP header when ``ect`` is set then, none otherwise.
        """
        return [segment for run in self.transmit_runs(now) for segment in run]

    def transmit_runs(self, now: int) -> list[Sequence[Octets]]:
        """``transmit`` for many at a time: bulk data comes as runs with ``bulk.HEADROOM``."""
        self._now = now
        self.ect = False
        out: list[Sequence[Octets]] = []
        if self._outbox:
            out.append(self._outbox)
            self._outbox = []
        if self._syn_due:
            out.append([self._syn(now)])
        if self.state in SENDING:
            self._transmit_data(out, now)
        if self.receiver.ack_due:
            out.append([self._ack(now)])
        return out

    def _transmit_data(self, out: list[Sequence[Octets]], now: int) -> None:
        sender = self.sender
        budget = BATCH
        template = None
        while budget >= sender.mss and sender.has_unsent:
            if self.ecn and out and self.ect == bool(sender.flight.lost):
                self._more_due = True  # of the other kind
                return
            run = sender.next_run(now, budget)
            if run is None:
                break
            if not out:
                self.ect = self.ecn and run.is_new
            if template is None:
                template = self._template(now)
            out += self._emit_runs(run, template)
            budget -= run.length
        self._more_due = budget < sender.mss
        if not self._more_due:
            sender.settle(now)

    def _template(self, now: int) -> Template:
        receiver = self.receiver
        flags = ACK | ECE if self._echo else ACK
        return self._emitter.template(receiver.rcv_nxt, receiver.advertise(), now, receiver.ts_recent, flags)

    def _emit_run(self, run: Cut, template: Template) -> list[Octets]:
        return [segment for segments in self._emit_runs(run, template) for segment in segments]

    def _emit_runs(self, run: Cut, template: Template) -> list[Sequence[Octets]]:
        seq, length, size, is_new = run
        buffer = self.sender.buffer
        end = seq + length
        fin = end > buffer.end
        data = buffer.peek(seq, length - fin)
        flags = (FIN if fin else 0) | (PSH if data and end >= buffer.end else 0)
        if is_new and self.ecn and self.sender.cwr_due:
            self.sender.cwr_due = False
            if len(data) <= size:
                return [[template.segment(seq & MASK, CWR | flags, data)]]
            first = template.segment(seq & MASK, CWR, data[:size])
            return [[first], *segment_runs(template, seq + size & MASK, data[size:], size, flags)]
        return segment_runs(template, seq & MASK, data, size, flags)

    def _ack(self, now: int) -> bytes:
        return self._emitter.ack(self.sender.snd_nxt, self._template(now), self.receiver.take_blocks())

    def _challenge(self, now: int) -> None:
        if self._challenges.permits(now):
            self._send_ack(now)

    def _send_ack(self, now: int) -> None:
        self._send_now(self._ack(now))
