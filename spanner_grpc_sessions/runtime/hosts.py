"""Which hosts are this machine: nothing that is sent to them goes through a proxy. Pure."""

from __future__ import annotations


def is_loopback(host: str) -> bool:
    """Return whether a host, a name or an address, is this machine."""
    import ipaddress  # noqa: PLC0415 - 1 ms that the emulator does not need

    host = host.strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
