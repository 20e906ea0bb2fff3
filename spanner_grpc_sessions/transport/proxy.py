"""The HTTP proxy between a client and its server, as the environment says.

gRPC reads some of these variables itself, connects directly where it cannot use one, and says so only in its own log.
So the choice is made here, as `requests` makes it for tokens, and what gRPC cannot use is an error.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from spanner_grpc_sessions.errors import InvalidValue

# The first that is set counts. gRPC reads those in lower case but `all_proxy`, and `requests` all but the first and
# the last. It has no HTTP_PROXY, which a CGI server sets from a header of its request.
_PROXIES: Final = (
    ("grpc_proxy",),
    ("https_proxy", "HTTPS_PROXY"),
    ("all_proxy", "ALL_PROXY"),
    ("http_proxy",),
)
_EXCEPTIONS: Final = ("no_grpc_proxy", "no_proxy", "NO_PROXY")
_DEFAULT_PORT: Final = 80


class Proxy(NamedTuple):
    """An HTTP proxy: its address, and "user:password" if it asks for them."""

    address: str
    user: str | None

    def __repr__(self) -> str:
        return f"Proxy({self.address!r})"

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of a channel that goes by it."""
        arguments = {"grpc.enable_http_proxy": 1, "grpc.http_proxy": f"http://{self.address}"}
        if self.user is not None:
            # Not in the URL: grpcio 1.66 cannot use one whose password contains an @.
            basic = base64.b64encode(self.user.encode()).decode()
            arguments["grpc.http_connect_headers"] = f"Proxy-Authorization: Basic {basic}"
        return arguments


def proxy_for(address: str, environment: Mapping[str, str]) -> Proxy | None:
    """Return the proxy for a server at "host:port", None for a direct connection."""
    if _is_exempt(address, environment):
        return None
    for names in _PROXIES:
        # The name in lower case wins, also with an empty value, which is none.
        name = next((name for name in names if name in environment), None)
        if name is not None and environment[name]:
            return _parsed(name, environment[name])
    return None


def _is_exempt(address: str, environment: Mapping[str, str]) -> bool:
    value = next((environment[name] for name in _EXCEPTIONS if name in environment), "")
    host = address.rpartition(":")[0].strip("[]")
    entries = [entry.strip().lower() for entry in value.split(",")]
    return any(entry and _matches(entry, host.lower(), address.lower()) for entry in entries)


def _matches(entry: str, host: str, address: str) -> bool:
    if entry == "*":
        return True
    if "/" in entry:
        return _is_in_network(host, entry)
    # At any letter, not at dots alone, because gRPC and `requests` compare like that.
    return host.endswith(entry.lstrip(".")) or address.endswith(entry)


def _is_in_network(host: str, network: str) -> bool:
    import ipaddress  # noqa: PLC0415 - few environments have a network here

    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _parsed(name: str, value: str) -> Proxy:
    """Return the proxy of a variable, or raise `InvalidValue` without its password."""
    from urllib.parse import unquote, urlsplit  # noqa: PLC0415 - 3 ms that an environment without a proxy does not need

    parts = urlsplit(value if "://" in value else f"http://{value}")
    if parts.scheme != "http":
        raise InvalidValue(
            f"{name} must be the URL of an HTTP proxy, http://host:port, got {parts.scheme}://…: gRPC cannot use "
            "another; set grpc_proxy for gRPC alone, or no_grpc_proxy to connect directly"
        )
    try:
        host, port = parts.hostname, parts.port or _DEFAULT_PORT
    except ValueError:
        host = None
    if not host:
        raise InvalidValue(f"{name} must be the URL of an HTTP proxy, http://host:port, got another value")
    user = None if parts.username is None else f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return Proxy(f"[{host}]:{port}" if ":" in host else f"{host}:{port}", user)
