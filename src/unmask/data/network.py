"""Whether a host can be reached: asked once, in seconds, before any library starts to retry."""

import os
import socket
from urllib.parse import urlsplit

PATIENCE = 5.0  # seconds


class Unreachable(FileNotFoundError):
    """A set that must be downloaded, and no way to do it."""


def require_host(host: str, what: str) -> None:
    """Raises Unreachable, with what was wanted, when neither the host nor the proxy in use answers."""
    proxy = os.environ.get("https_proxy") or os.environ.get("HTTPS_PROXY")
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}") if proxy else None
    address = (parts.hostname or host, parts.port or 80) if parts else (host, 443)
    try:
        socket.create_connection(address, timeout=PATIENCE).close()
    except OSError as error:
        raise Unreachable(
            f"{what} is not on this machine and {host} cannot be reached ({error}); connect to the network, "
            "or use files of your own, digits or photos"
        ) from None
