"""What programs on a machine get by HTTP and NTP: one request, its whole answer."""

import shlex
from typing import TYPE_CHECKING, Final

import msgspec

from harness.core.errors import GuestError

if TYPE_CHECKING:
    from harness.scenario.machine import Machine

BUNDLE: Final = "/etc/ssl/certs/ca-certificates.crt"
"""Where curl and others on Debian find the authorities that they trust."""

_SEPARATOR: Final = b"\n=====\n"
_FOLDER: Final = "d=$(mktemp -d) || exit 1; trap 'rm -rf \"$d\"' EXIT; "
_KEEP: Final = 'cat >"$d/ca"; '
"""Standard input is what is to be trusted."""
_TRUST: Final = '--cacert "$d/ca"'


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """What a GET or POST brought, no redirect followed. ``status`` is 0 when there was no answer."""

    url: str
    status: int
    body: bytes = b""
    headers: dict[str, str] = {}
    """Their names in small letters; of several of a name, the last."""
    error: str = ""
    """curl's words when it failed."""

    @property
    def ok(self) -> bool:
        """Whether all of it came, with a status of 200 to 299."""
        return not self.error and 200 <= self.status < 300

    @property
    def location(self) -> str:
        """Where a redirect leads to; "" for none."""
        return self.headers.get("location", "")

    @property
    def text(self) -> str:
        """The body as text; octets that are no UTF-8 are replaced."""
        return self.body.decode(errors="replace")


def fetch(
    machine: "Machine",
    url: str,
    *,
    data: dict[str, str] | None,
    proxy: str,
    trust: str,
    to: str,
    timeout: float,
    family: int,
) -> Page:
    """Carry out `Machine.fetch`."""
    words = ["curl", "--silent", "--show-error", "--globoff", "--max-time", f"{timeout:g}"]
    words += [] if not family else [f"--ipv{family}"]
    words += [] if not proxy else ["--proxy", proxy]
    words += [] if not to else ["--connect-to", f"::{to}:"]
    for name, value in (data or {}).items():
        words += ["--data-urlencode", f"{name}={value}"]
    keep, use = (_KEEP, _TRUST) if trust else ("", "")
    script = (
        f'{_FOLDER}{keep}{shlex.join([*words, url])} {use} --dump-header "$d/head" '
        '--output "$d/body" 2>"$d/told"; echo $?; cat "$d/told"; echo; echo =====; '
        'cat "$d/head" 2>/dev/null; echo; echo =====; cat "$d/body" 2>/dev/null'
    )
    ran = machine.run(script, timeout=timeout + 20, input=trust)
    told, _, rest = ran.stdout_bytes.partition(_SEPARATOR)
    head, _, body = rest.partition(_SEPARATOR)
    status, _, said = told.decode(errors="replace").partition("\n")
    if not status.isdigit() or "not found" in said:
        raise GuestError(f"curl on {machine.name} failed", remedy=said or ran.stderr.strip())
    error = "" if status == "0" else said.strip() or f"curl ended with {status}"
    code, headers = read_head(head.decode(errors="replace"))
    return Page(url=url, status=code, body=body, headers=headers, error=error)


def read_head(head: str) -> tuple[int, dict[str, str]]:
    """Status and headers of the last of several heads (those of a proxy's tunnel come before)."""
    status, headers = 0, dict[str, str]()
    for line in head.splitlines():
        if line.startswith("HTTP/"):
            status, headers = int(line.split()[1]), {}
        elif ": " in line:
            name, _, value = line.partition(": ")
            headers[name.lower()] = value.strip()
    return status, headers
