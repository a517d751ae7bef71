"""What the TCP side of the gateway sends to a guest."""

from guestnet.gateway.interface import ECT_0, NOT_ECT, Interface
from guestnet.gateway.tcp_flow import Flow
from guestnet.tcpip.tcp.output import reset_for
from guestnet.wire import tcp
from guestnet.wire.ip import IpPacket
from guestnet.wire.ipv4 import Protocol


def transmit(interface: Interface, flow: Flow, now: int) -> None:
    """All that the flow's connection has to say."""
    connection = flow.connection
    while True:
        runs = connection.transmit_runs(now)
        ecn = ECT_0 if connection.ect else NOT_ECT
        for segments in runs:
            interface.send(flow.destination, flow.guest, Protocol.TCP, segments, ecn)
        if not runs or not connection.has_more:
            return


def refuse(interface: Interface, packet: IpPacket, segment: tcp.Segment) -> None:
    """Answer a segment that belongs to no connection with the RST of RFC 9293 3.10.7.1."""
    answer = reset_for(segment, packet.source, packet.destination)
    if answer is not None:
        interface.send(packet.destination, packet.source, Protocol.TCP, [answer])
