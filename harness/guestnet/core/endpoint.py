"""An address with a port, in words."""


def show_endpoint(address: str, port: int | str) -> str:
    """``203.0.113.10:80``, ``[2001:db8::1]:80``."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
