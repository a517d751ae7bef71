"""How this machine reaches mirrors and indexes: proxies, certificates, apt's and pip's settings.

A bare machine on it gets all that as found. What a setting names is shown there at the same place.
"""

import ast
import os
import re
import ssl
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import msgspec

PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO")
LOCAL_CERTIFICATES = Path("/usr/local/share/ca-certificates")
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
_OF_APT = re.compile(
    r"Acquire::(http|https|Retries|ForceIPv[46]|Check-Valid-Until|Check-Date)(::\S*)? ", re.IGNORECASE
)
_OF_PIP = re.compile(r"(?P<section>[^.]+)\.(?P<option>\S+?)=(?P<value>.*)")


class Host(msgspec.Struct, frozen=True):
    """``files`` are for the bare machine, by absolute path; ``shown`` are this machine's own."""

    environment: dict[str, str]
    files: dict[str, bytes]
    shown: tuple[Path, ...]

    @classmethod
    def of_this_machine(cls) -> Self:
        """As it is now."""
        apt = apt_settings(_said("apt-config", "dump"), os.environ)
        pip = pip_settings(_said(sys.executable, "-m", "pip", "config", "list"))
        names = (*PROXIES, *map(str.upper, PROXIES), *CERTIFICATES)
        environment = {name: os.environ[name] for name in names if name in os.environ}
        bundle = ssl.get_default_verify_paths().cafile
        local = [path for path in LOCAL_CERTIFICATES.glob("*.crt") if path.is_file()]
        files = {
            "/etc/apt/apt.conf.d/90host": apt.encode(),
            "/etc/pip.conf": pip.encode(),
            "/etc/resolv.conf": Path("/etc/resolv.conf").read_bytes(),
            "/etc/hosts": Path("/etc/hosts").read_bytes() + b"\n127.0.0.1 bare\n",
            **{str(path): path.read_bytes() for path in local},
            **({BUNDLE: Path(bundle).read_bytes()} if bundle else {}),
        }
        shown = named_places([*apt.split('"'), *pip.split(), *environment.values()])
        return cls(environment, files, tuple(shown))


def apt_settings(dump: str, environment: Mapping[str, str]) -> str:
    """Of ``apt-config dump``, how to reach mirrors; and the proxies of variables, since sudo keeps none."""
    lines = [line for line in dump.splitlines() if _OF_APT.match(line)]
    for kind in ("http", "https"):
        proxy = environment.get(f"{kind}_proxy", "")
        if proxy and not any(line.startswith(f"Acquire::{kind}::Proxy ") for line in lines):
            lines.append(f'Acquire::{kind}::Proxy "{proxy}";')
    return "".join(f"{line}\n" for line in lines)


def pip_settings(listing: str) -> str:
    """A pip.conf with what ``pip config list`` shows; what a variable sets holds for all commands."""
    sections: dict[str, dict[str, str]] = {}
    for match in filter(None, map(_OF_PIP.fullmatch, listing.splitlines())):
        section = match["section"].replace(":env:", "global")
        value = str(ast.literal_eval(match["value"]))
        sections.setdefault(section, {})[match["option"]] = "\n    ".join(value.split("\n"))
    return "".join(
        f"[{section}]\n" + "".join(f"{option} = {value}\n" for option, value in options.items())
        for section, options in sections.items()
    )


def named_places(words: Iterable[str]) -> list[Path]:
    """The files and folders among ``words``. What is in /etc/ssl is copied.

    Of a file: URL, which is an index of packages, the folder around it, since what it lists may be beside it.
    """
    paths = (Path(urlsplit(word).path).parent if word.startswith("file:") else Path(word) for word in words)
    found = {path for path in paths if path.is_absolute() and path.exists()}
    return sorted(path for path in found if not path.is_relative_to("/etc/ssl") and path != Path("/"))


def _said(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return ""
