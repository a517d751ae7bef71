"""Formats of the wire: one file a format, one grammar for all.

Each file has ``parse(data) -> X`` (raises WireError naming the field and its offset), ``emit(x) -> bytes``
and ``show(x) -> str``, one line in tcpdump's manner. No state. ``frame`` puts all layers together.

Payloads are memoryviews of what was parsed, never copies: who keeps one keeps the whole frame alive.
"""
