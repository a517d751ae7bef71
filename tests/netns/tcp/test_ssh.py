"""A terminal session that nobody uses: OpenSSH's client and a real server, through the builtin stack.

Both are programs of this machine. The server runs on the world's internet, as a user that it takes for an
ordinary one, so that it needs no privilege; the client runs in the network of a namespace guest.
"""

from typing import Final

import pytest

from guestnet.core import events
from guestnet.scenario import Lab, tcp
from guestnet.system.programs import require
from tests.netns.tcp.tools import in_network_of

pytestmark = [pytest.mark.netns, pytest.mark.lab(guest="netns")]

SERVER: Final = "203.0.113.30"
PORT: Final = 2222

# In the lab's own /run, which goes with it.
PREPARE: Final = """
set -e
mkdir -p /run/ssh/home/.ssh
cd /run/ssh
mkfifo up
dropbearkey -t ed25519 -f hostkey >log 2>&1
ssh-keygen -q -t ed25519 -N '' -f key
cp key.pub home/.ssh/authorized_keys
chmod -R go= home
echo 'user:x:1000:1000::/run/ssh/home:/bin/sh' >passwd
"""
# A server that is root changes users, which not every namespace of users allows; so it is not root.
SERVE: Final = f"""
exec unshare --mount sh -c '
mount --bind /run/ssh/passwd /etc/passwd
exec unshare --user --map-user=1000 --map-group=1000 \
    dropbear -E -s -r /run/ssh/hostkey -p {SERVER}:{PORT} -P /run/ssh/pid' >>/run/ssh/log 2>&1
"""
SSH: Final = f"ssh -F none -i key -o StrictHostKeyChecking=no -o UserKnownHostsFile=h -p {PORT} user@{SERVER}"
OPEN: Final = f"""
cd /run/ssh
sleep 3600 >up 2>/dev/null </dev/null &
({in_network_of("$1")} {SSH} sh; echo "ssh ended: $?" >>down) <up >down 2>error &
"""
ASK: Final = """
cd /run/ssh
echo "echo answer: $1" >up
until grep -q -x "answer: $1" down || grep -q 'ssh ended' down; do sleep 0.05; done
cat down error
"""


@pytest.fixture
def session(lab: Lab) -> Lab:
    """The lab, with a session open in it."""
    for program in ("ssh", "ssh-keygen", "dropbear", "dropbearkey", "unshare"):
        require(program)
    lab.laptop.run(PREPARE, check=True)
    lab.hosts["internet"].run(SERVE, check=True)
    lab.laptop.run(["sh", "-c", OPEN, "sh", str(lab.status().pids["guest1"])], check=True)
    return lab


def answers(lab: Lab, word: str) -> str:
    """What the session has said so far, once it has answered to ``word``."""
    return lab.laptop.run(["sh", "-c", ASK, "sh", word], timeout=60).stdout


def test_a_session_idle_for_two_hours_and_for_a_night_answers_as_before(session: Lab) -> None:
    assert "answer: hello" in answers(session, "hello")
    with session.step("lunch") as idle:
        session.jump("2h")
        assert "answer: still here" in answers(session, "still here")
    with session.step("the night"):
        session.sleep(hours=8)
        assert "answer: good morning" in answers(session, "good morning")
    assert not session.cable.saw(tcp.reset(), since=idle)
    assert not session.journal.saw(events.FlowClosed, remote=f"{SERVER}:{PORT}")
