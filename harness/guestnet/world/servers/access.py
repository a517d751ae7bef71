"""Access logs of servers."""

from collections.abc import Callable

Log = Callable[[str, str, str, str], None]
"""Called with server, client, request and status when a request was answered."""
