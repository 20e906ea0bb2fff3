"""Which proxy the environment names: as `requests`, which fetches the tokens, reads it, and never one in silence."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import pytest
from requests.utils import get_auth_from_url, get_environ_proxies, select_proxy

from spanner_grpc_sessions.errors import InvalidValue
from spanner_grpc_sessions.transport.proxy import Proxy, proxy_for

_HOST = "spanner.googleapis.com"
_P, _Q = "http://p.test:3128", "http://q.test:3128"

# Environments that both halves of a client, calls and tokens, read alike.
AGREED: list[dict[str, str]] = [
    {},
    {"https_proxy": _P},
    {"HTTPS_PROXY": _P},
    {"https_proxy": _P, "HTTPS_PROXY": _Q},
    {"https_proxy": "", "HTTPS_PROXY": _Q},
    {"ALL_PROXY": _P},
    {"all_proxy": _P, "ALL_PROXY": _Q},
    {"https_proxy": _P, "all_proxy": _Q},
    {"https_proxy": "", "all_proxy": _Q},
    {"HTTP_PROXY": _P},
    {"HTTPS_PROXY": "p.test:3128"},
    {"HTTPS_PROXY": "http://user:p%40ss%3A@p.test:3128"},
    {"HTTPS_PROXY": "http://p.test:3128/"},
    {"HTTPS_PROXY": "http://[2001:db8::1]:3128"},
    *({"HTTPS_PROXY": _P, "NO_PROXY": value} for value in ("*", _HOST, ".googleapis.com", "googleapis.com", "other")),
    *({"HTTPS_PROXY": _P, "no_proxy": value} for value in (" a.test , .googleapis.com ", f"{_HOST}:443", "", ",")),
    {"HTTPS_PROXY": _P, "no_proxy": "other", "NO_PROXY": "*"},
]


def _of_requests(environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, host: str = _HOST) -> Proxy | None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    url = f"https://{host}:443/"
    proxy = select_proxy(url, get_environ_proxies(url))
    if not proxy:
        return None
    url = proxy if "://" in proxy else f"http://{proxy}"
    user = ":".join(get_auth_from_url(url))
    return Proxy(urlsplit(url).netloc.rpartition("@")[2], user if len(user) > 1 else None)


@pytest.mark.parametrize("environment", AGREED, ids=str)
def test_calls_go_by_the_proxy_of_the_tokens(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A client has one way out, not two."""
    assert proxy_for(f"{_HOST}:443", environment) == _of_requests(environment, monkeypatch)


@pytest.mark.parametrize("entry", ["10.0.0.0/8", "10.1.2.3", "10.0.0.0/33", "11.0.0.0/8"])
def test_networks_are_read_as_for_the_tokens(entry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address may be exempt with its network."""
    environment = {"https_proxy": _P, "no_proxy": entry}
    assert proxy_for("10.1.2.3:443", environment) == _of_requests(environment, monkeypatch, "10.1.2.3")


@pytest.mark.parametrize(
    ("environment", "proxy"),
    [
        ({"grpc_proxy": _P, "https_proxy": _Q}, _P),
        ({"http_proxy": _P}, _P),
        ({"http_proxy": _P, "all_proxy": _Q}, _Q),
        ({"https_proxy": _P, "no_grpc_proxy": "*"}, None),
        ({"https_proxy": _P, "no_grpc_proxy": "", "no_proxy": "*"}, _P),
    ],
)
def test_variables_of_grpc_are_honoured(environment: dict[str, str], proxy: str | None) -> None:
    """What is said to gRPC alone, and `http_proxy`, by which it goes with TLS too."""
    found = proxy_for(f"{_HOST}:443", environment)
    assert (found and f"http://{found.address}") == proxy


@pytest.mark.parametrize(
    ("value", "proxy"),
    [
        ("http://u:p@ss@p.test:1", Proxy("p.test:1", "u:p@ss")),
        ("http://u@p.test:1", Proxy("p.test:1", "u:")),
        ("p.test", Proxy("p.test:80", None)),
        ("HTTP://p.test:1/", Proxy("p.test:1", None)),
    ],
)
def test_urls_are_read_leniently(value: str, proxy: Proxy) -> None:
    """As for tokens: an @ in the password, no port, no scheme, a path."""
    assert proxy_for(f"{_HOST}:443", {"https_proxy": value}) == proxy


@pytest.mark.parametrize("name", ["grpc_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "http_proxy"])
@pytest.mark.parametrize("value", ["https://u:secret@p.test:1", "socks5://u:secret@p.test:1", "http://:1", "p.test:x"])
def test_what_grpc_cannot_use_is_refused(name: str, value: str) -> None:
    """It would connect directly; the error names the variable and not the password."""
    with pytest.raises(InvalidValue, match=f"{name} must be the URL of an HTTP proxy") as error:
        proxy_for(f"{_HOST}:443", {name: value})
    assert "secret" not in str(error.value)
    assert proxy_for(f"{_HOST}:443", {name: value, "no_grpc_proxy": _HOST}) is None
