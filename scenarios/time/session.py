"""A connection that stays open in a guest, like that of somebody's terminal."""

import shlex

from guestnet.scenario import Guest

_OPEN = """
mkfifo {name}.up
sleep 3600 >{name}.up 2>/dev/null </dev/null &
(socat -d -t 5 - TCP:{host}:{port}; echo over >&2) <{name}.up >{name}.down 2>{name}.error &
"""
_SAY = """
printf '%s\\n' {text} >{name}.up
until grep -q -x {text} {name}.down || [ -s {name}.error ]; do sleep 0.05; done
grep -q -x {text} {name}.down
"""


class Session:
    """With an echo server. Nobody says anything unless a scenario does; nothing keeps it alive either."""

    def __init__(self, guest: Guest, host: str = "echo.example", port: int = 7) -> None:
        self._guest = guest
        self._name = "/tmp/session"
        guest.run(_OPEN.format(name=self._name, host=host, port=port), check=True)

    def echoes(self, text: str, *, within: float = 20.0) -> bool:
        """Say a line; whether it comes back before the session fails, or ``within`` seconds pass."""
        script = _SAY.format(name=self._name, text=shlex.quote(text))
        return self._guest.run(["timeout", f"{within:g}", "sh", "-c", script], timeout=within + 10).ok

    @property
    def error(self) -> str:
        """What it failed with; nothing while it lives."""
        return self._guest.read_file(f"{self._name}.error").decode()
