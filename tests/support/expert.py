"""A third party's verdict on a capture."""

import subprocess
from pathlib import Path

from guestnet.system.programs import require

# Once in 65,536 segments: Linux writes a sum of 0 that it makes itself as 0xffff (skb_checksum_help).
COMPLAINTS = (
    "_ws.malformed || (_ws.expert.severity == error && !(tcp.checksum == 0xffff))"
    " || tcp.analysis.ack_lost_segment"
)


def complaints(capture: Path) -> str:
    """What tshark calls an error, a line each: malformed, bad checksums, ACKs of what was never sent."""
    options = [
        "-o",
        "tcp.check_checksum:TRUE",
        "-o",
        "ip.check_checksum:TRUE",
        "-o",
        "udp.check_checksum:TRUE",
    ]
    # What TCP carries here is random, but ports are chosen by a kernel: many of them are somebody's.
    options += ["-d", "tcp.port==1-65535,data"]
    command = [str(require("tshark")), "-r", str(capture), *options, "-Y", COMPLAINTS]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout
