"""The one loop: frames and socket events in, the gateway's commands out, one timer.

::

    ports ──frames──▶ cables ──▶ switch ──▶ gateway ──commands──▶ host sockets, resolver, journal
      ▲                            │  ▲        ▲ │                       │
      └────────── cables ◀─────────┘  └─frames─┼─┘                       │
                                               └───────── events ◀───────┘

A turn never awaits. Commands may give events at once (a socket took the octets); they are handed to the
gateway in the same turn, until there are none. What comes later wakes a turn of its own.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from guestnet.core.address import Mac
from guestnet.core.events import Event as JournalEvent
from guestnet.core.port import Frame, Port
from guestnet.core.recorder import Direction, Mark, Recorder
from guestnet.core.time import earliest
from guestnet.edge.clock import LabClock
from guestnet.edge.dns_client import DnsClient
from guestnet.edge.host_ping import HostPing
from guestnet.edge.host_tcp import HostTcp
from guestnet.edge.host_udp import HostUdp
from guestnet.edge.poller import Poller
from guestnet.edge.qemu_port import QemuPort
from guestnet.edge.resolv_conf import ResolvConf
from guestnet.edge.tap_port import TapPort, has_offloads
from guestnet.edge.timer import Timer
from guestnet.frames.train import Train
from guestnet.gateway import commands
from guestnet.gateway.events import Event, FramesReceived, ServersListed
from guestnet.gateway.gateway import Gateway
from guestnet.link.link import DIRECTIONS, Link
from guestnet.link.passed import ANSWER, DROPPED, Passed
from guestnet.link.switch import Switch
from guestnet.link.verdicts import dropped

_GATEWAY: Final = "gateway"


class _Ends(NamedTuple):
    """What a port calls."""

    receive: Callable[[Sequence[Sequence[Frame]]], None]
    dropped: Callable[[Sequence[Frame], str], None]
    closed: Callable[[str], None]


class Driver:
    """Owns switch, ports, host sockets and the timer. Made in a running loop; ``close`` ends it."""

    def __init__(
        self,
        gateway: Gateway,
        mac: Mac,
        *,
        recorder: Recorder,
        clock: LabClock,
        resolv_conf: Path,
        seed: int = 0,
    ) -> None:
        self.gateway = gateway
        self.cables: dict[str, Link] = {}
        self._former: dict[str, Link] = {}
        self._seed = seed
        self._recorder = recorder
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._switch = Switch(static={mac: _GATEWAY})
        self._switch.add_port(_GATEWAY)
        self._ports: dict[str, Port] = {}
        self._pending: list[Event] = []
        self._seen: list[tuple[str, Direction, Sequence[Frame], int, str, Sequence[Mark]]] = []
        self._is_turning = False
        self._is_closed = False
        self._timer = Timer(self._on_timer)
        self._timer_at: int | None = None
        self._forget_clock = clock.on_jump(self._on_timer)
        emit = self._pending.append
        self._poller = Poller(self._woken)
        self.tcp = HostTcp(self._poller, emit)
        self.udp = HostUdp(self._poller, emit)
        self.ping = HostPing(self._poller, emit)
        self._dns = DnsClient(emit, self.turn)
        self._resolv_conf = ResolvConf(resolv_conf)
        self._execute: dict[type[commands.Command], Callable[[Any], None]] = {
            commands.SendFrames: self._to_guests,
            commands.Record: lambda command: recorder.event(command.event),
            commands.Connect: self.tcp.connect,
            commands.Mark: self.tcp.mark,
            commands.Receive: self.tcp.receive,
            commands.Send: self.tcp.send,
            commands.ShutdownWrite: self.tcp.shutdown_write,
            commands.Close: self.tcp.close_flow,
            commands.Reset: self.tcp.reset,
            commands.OpenDatagram: self.udp.open,
            commands.SendDatagram: self.udp.send,
            commands.CloseDatagram: self.udp.close_flow,
            commands.SendEcho: self.ping.send,
            commands.CloseEcho: self.ping.close_flow,
            commands.ListServers: self._list_servers,
            commands.AskServer: self._dns.ask,
            commands.ForgetServer: self._dns.forget,
        }

    # --- cables ---

    def attach_qemu(self, link: str, sock: socket.socket, unplugged: Callable[[str], None]) -> None:
        """A cable whose other end speaks QEMU's framing on ``sock``.

        ``unplugged`` gets the reason if that end leaves; the cable is detached then.
        """
        ends = self._attach(link, unplugged)
        self._ports[link] = QemuPort(
            link, sock, receive=ends.receive, dropped=ends.dropped, closed=ends.closed
        )

    def attach_tap(self, link: str, fd: int, unplugged: Callable[[str], None]) -> None:
        """A cable to a TAP device, with offloads where that has them."""
        ends = self._attach(link, unplugged)
        self._ports[link] = TapPort(
            link, fd, offloads=has_offloads(fd),
            receive=ends.receive, dropped=ends.dropped, closed=ends.closed,
        )  # fmt: skip

    def detach(self, link: str) -> None:
        """Pull the cable out and forget it."""
        port = self._ports.pop(link, None)
        if port is not None:
            port.close()
            self._switch.remove_port(link)
            cable = self._former[link] = self.cables.pop(link)
            cable.set_plugged(False, self._clock.now())

    def _attach(self, link: str, unplugged: Callable[[str], None]) -> "_Ends":
        self.detach(link)
        # A guest that comes back (from a snapshot, say) finds its cable as it was set.
        cable = self.cables[link] = self._former.pop(link, Link(link, self._seed))
        self._record(cable.set_plugged(True, self._clock.now()))
        self._switch.add_port(link)

        def closed(reason: str) -> None:
            self.detach(link)
            unplugged(reason)

        def lose(frames: Sequence[Frame], rule: str) -> None:
            now = self._clock.now()
            self._recorder.frames(link + DROPPED, "down", frames, now, rule)
            self._record(dropped(link, rule, frames, now))

        return _Ends(lambda batches: self._from_guest(link, batches), lose, closed)

    def tell(self, event: Event) -> None:
        """Something of the laptop has changed that the gateway is to know."""
        self._pending.append(event)
        self.turn()

    def changed(self, events: Sequence[JournalEvent]) -> None:
        """The settings of a cable are others: write that down, and ask again when it wants to be called."""
        self._record(events)
        self._rearm()

    # --- frames ---

    def _from_guest(self, link: str, batches: Sequence[Sequence[Frame]]) -> None:
        now = self._clock.now()
        if len(batches) == 1 and self._hurry(link, batches[0], now):
            self.turn(look=True)
            return
        cable = self.cables[link]
        for frames in batches:
            self._leave("up", link, cable.offer("up", frames, now), now)
        self.turn(look=True)

    def _hurry(self, link: str, frames: Sequence[Frame], now: int) -> bool:
        """A single frame that is the gateway's. Most often it knows at once what to do; else it has to look.

        False: nothing was done.
        """
        cable = self.cables[link]
        if type(frames) is not list or len(frames) != 1:
            return False
        frame = frames[0]
        if (
            self._pending
            or not cable.is_plugged
            or cable.is_impaired("up")
            or self._switch.leads_to(link, frame, now) != _GATEWAY
        ):
            return False
        self._seen.append((link, "up", frames, now, "", ()))
        send = self.gateway.hurry(frame, now)
        if send is not None:
            self.tcp.send(send)
        else:
            self._pending.append(FramesReceived(frames, is_asked=True))
        return True

    def _to_guests(self, command: commands.SendFrames) -> None:
        frames = command.frames
        if type(frames) is list and len(frames) == 1:
            now = self._clock.now()
            link = self._switch.leads_to(_GATEWAY, frames[0], now)
            cable = self.cables.get(link) if link is not None else None
            if cable is not None and cable.is_plugged and not cable.is_impaired("down"):
                self._ports[cable.name].send(frames)
                self._seen.append((cable.name, "down", frames, now, "", ()))
                return
        self._forward(_GATEWAY, frames)

    def _leave(self, direction: Direction, link: str, passed: Passed, now: int) -> None:
        """What came out of a cable, at its end: the switch, or the guest. There it is captured."""
        if passed.frames and direction == "up":
            self._seen.append((link, "up", passed.frames, now, "", passed.marks()))
            self._forward(link, passed.frames)
        elif passed.frames:
            self._send(link, passed.frames, now, marks=passed.marks())
        if passed.answers:
            if direction == "up":
                self._send(link, passed.answers, now, ANSWER)
            else:
                self._seen.append((link, "up", passed.answers, now, ANSWER, ()))
                self._forward(link, passed.answers)
        if passed.dropped:
            frames, marks = passed.lost()
            self._seen.append((link + DROPPED, direction, frames, now, "", marks))
        if passed.events:
            self._record(passed.events)

    def _send(
        self, link: str, frames: Sequence[Frame], now: int, comment: str = "", marks: Sequence[Mark] = ()
    ) -> None:
        port = self._ports[link]
        for part in frames.cut() if isinstance(frames, Train) and not port.takes_trains else (frames,):
            port.send(part)
            self._seen.append((link, "down", part, now, comment, marks))

    def _forward(self, source: str, frames: Sequence[Frame]) -> None:
        now = self._clock.now()
        for port, batch in self._switch.forward(source, frames, now).items():
            if port == _GATEWAY:
                self._pending.append(FramesReceived(batch))
            elif port in self.cables:
                self._leave("down", port, self.cables[port].offer("down", batch, now), now)
        self._record(self._switch.take_events())

    def _list_servers(self, command: commands.ListServers) -> None:
        self._pending.append(ServersListed(command.token, self._resolv_conf.servers))

    def _record(self, events: Sequence[JournalEvent]) -> None:
        for event in events:
            self._recorder.event(event)

    # --- turns ---

    def turn(self, *, look: bool = False) -> None:
        """Bring all pending events to the gateway and execute what it commands; then set the timer.

        ``look`` once whether sockets are ready: what the guest sends within this machine is often answered
        before we could go to sleep.
        """
        if self._is_turning or self._is_closed:
            return
        self._is_turning = True
        try:
            now = self._clock.now()
            events = self._take()
            while True:
                for command in self.gateway.handle(events, now):
                    self._execute[type(command)](command)
                if look and not self._pending:
                    look = False
                    self._poller.look()
                    now = self._clock.now()
                events = self._take()
                if not events:
                    break
        finally:
            self._is_turning = False
            # Last, for somebody waits for all the rest.
            self._capture()
        self._rearm()

    def _capture(self) -> None:
        seen, self._seen = self._seen, []
        for link, direction, frames, at, comment, marks in seen:
            self._recorder.frames(link, direction, frames, at, comment, marks)

    def _woken(self) -> None:
        """Sockets were ready; that may be no news."""
        if self._pending:
            self.turn()

    def _take(self) -> list[Event]:
        events = self._pending[:]
        self._pending.clear()
        return events

    def _rearm(self) -> None:
        at = earliest(self.gateway.poll_at(), *[cable.poll_at() for cable in self.cables.values()])
        if at is None or (self._timer_at is not None and self._timer_at <= at):
            return  # a timer that is too early only costs a turn
        self._timer_at = at
        self._timer.set(at - self._clock.now())

    def _on_timer(self) -> None:
        self._timer_at = None
        now = self._clock.now()
        for link, cable in list(self.cables.items()):
            for direction in DIRECTIONS:
                self._leave(direction, link, cable.due(direction, now), now)
        self.turn()

    async def close(self) -> None:
        """Close every port, socket and task. Idempotent."""
        if not self._is_closed:
            self._forget_clock()
        self._is_closed = True
        self._capture()
        self._timer.close()
        for link in list(self._ports):
            self.detach(link)
        await self._dns.close()
        self.tcp.close()
        self.udp.close()
        self.ping.close()
        self._poller.close()
