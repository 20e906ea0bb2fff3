"""Spanner Omni, which users run themselves: mutual TLS, an authority of its own or plaintext, and no Google token."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import google.auth
import pytest
from google.oauth2.credentials import Credentials

from spanner_grpc_sessions import ClientOptions, CredentialsError, InvalidValue, SessionsClient
from spanner_grpc_sessions.cli import main
from spanner_grpc_sessions.local import LocalSpanner
from tests.support.certificates import make_authority
from tests.support.colours import Colour
from tests.support.pools import multiplexed_of, pool_of
from tests.support.tls import TlsFront, tls_front

_DATABASE = "projects/default/instances/default/databases/d"
_AUTHORITY = make_authority()
_PAIR = _AUTHORITY.issue("service")


@pytest.fixture(autouse=True)
def _of_google(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings that are meant for Google's service alone, and would break or misdirect a client if they were read."""

    def default(**_: Any) -> None:
        raise AssertionError("application default credentials were looked for")

    monkeypatch.setattr(google.auth, "default", default)
    monkeypatch.setenv("GOOGLE_API_USE_CLIENT_CERTIFICATE", "true")
    monkeypatch.setenv("GOOGLE_API_CERTIFICATE_CONFIG", __file__)
    monkeypatch.setenv("GOOGLE_API_USE_MTLS_ENDPOINT", "perhaps")
    monkeypatch.setenv("GOOGLE_CLOUD_UNIVERSE_DOMAIN", "a b")
    monkeypatch.setenv("SPANNER_EMULATOR_HOST", "127.0.0.1:1")


@pytest.fixture
def omni() -> Iterator[LocalSpanner]:
    """The server: it takes calls without a token."""
    with LocalSpanner(tls=False) as server:
        yield server


@pytest.fixture
def front(omni: LocalSpanner) -> Iterator[TlsFront]:
    """Mutual TLS in front of it."""
    with tls_front(omni.endpoint, _AUTHORITY) as front:
        yield front


def _use(client: Any) -> None:
    """Use a client in every way."""
    client.warm_up()
    name = client.create_session(_DATABASE)["name"]
    client.ping_session(name)
    pool = pool_of(client, _DATABASE, min_size=1)
    pool.release(pool.acquire())
    pool.close()
    session = multiplexed_of(client, _DATABASE)
    assert session.open().name
    session.close()


def _authorizations(server: LocalSpanner) -> set[str | bytes | None]:
    """Return the tokens with which calls came."""
    return {dict(call.metadata).get("authorization") for call in server.calls}


def test_mutual_tls_without_a_token(omni: LocalSpanner, front: TlsFront, colour: Colour) -> None:
    """Nothing of Google's is looked for: no token, no certificate, no universe."""
    options = ClientOptions(
        instance_type="omni", endpoint=front.endpoint, root_certificates=front.root, client_certificate=_PAIR
    )
    with colour.client(options=options) as client:
        _use(client)
    assert (set(front.clients), _authorizations(omni)) == ({"service"}, {None})


def test_tls_with_an_authority_of_its_own(omni: LocalSpanner, colour: Colour) -> None:
    """The client shows no certificate."""
    with tls_front(omni.endpoint) as front:
        options = ClientOptions(instance_type="omni", endpoint=front.endpoint, root_certificates=front.root)
        with colour.client(options=options) as client:
            _use(client)
    assert (set(front.clients), _authorizations(omni)) == ({None}, {None})


def test_plaintext(omni: LocalSpanner, colour: Colour) -> None:
    """Where the network is trusted."""
    options = ClientOptions(instance_type="omni", endpoint=omni.endpoint, plaintext=True)
    with colour.client(options=options) as client:
        _use(client)
    assert _authorizations(omni) == {None}


def test_credentials_that_are_given_are_used_over_tls(omni: LocalSpanner, front: TlsFront, colour: Colour) -> None:
    """The login of Spanner Omni is such an object; it is of no universe."""
    options = ClientOptions(
        instance_type="omni", endpoint=front.endpoint, root_certificates=front.root, client_certificate=_PAIR
    )
    with colour.client(Credentials("login", universe_domain="other.test"), options=options) as client:
        _use(client)
    assert _authorizations(omni) == {"Bearer login"}


def test_credentials_stay_on_this_machine_in_plaintext() -> None:
    """As everywhere else."""
    options = ClientOptions(instance_type="omni", endpoint="omni.test:1", plaintext=True)
    with pytest.raises(CredentialsError, match="plaintext"):
        SessionsClient(Credentials("login"), options=options)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"instance_type": "omni"}, "needs an endpoint"),
        ({"instance_type": "omni", "endpoint": "h", "universe_domain": "h.test"}, "has no universe_domain"),
        ({"instance_type": "Omni", "endpoint": "h"}, "must be 'cloud' or 'omni', got 'Omni'"),
        ({"instance_type": None}, "must be 'cloud' or 'omni', got None"),
    ],
)
def test_options_that_contradict_each_other_are_refused(changes: dict[str, Any], match: str) -> None:
    """When they are made."""
    with pytest.raises(InvalidValue, match=match):
        ClientOptions(**changes)


@pytest.fixture
def files(front: TlsFront, tmp_path: Path) -> dict[str, str]:
    """The certificates as the command line takes them."""
    parts = {"root-certificates": front.root, "client-certificate": _PAIR[0], "client-key": _PAIR[1]}
    for name, part in parts.items():
        (tmp_path / name).write_bytes(part)
    return {f"--{name}": str(tmp_path / name) for name in parts}


def test_command_line_connects_by_mutual_tls(
    omni: LocalSpanner, front: TlsFront, files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """With the paths of the certificates."""
    where = [
        "--instance-type",
        "omni",
        "--endpoint",
        front.endpoint,
        *(word for pair in files.items() for word in pair),
    ]
    assert main(["create", _DATABASE, *where]) == 0
    assert json.loads(capsys.readouterr().out)["name"].startswith(_DATABASE)
    assert (front.clients, _authorizations(omni)) == (["service"], {None})


@pytest.mark.parametrize(
    "wrong",
    [
        ["--client-key", "--endpoint"],
        ["--client-certificate", "--endpoint"],
        ["--client-certificate", "--client-key", "--local"],
        ["--instance-type", "--local"],
        ["--instance-type"],
    ],
    ids=" ".join,
)
def test_command_line_refuses_what_does_not_go_together(
    files: dict[str, str], wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A key without its certificate, certificates for the local server, Spanner Omni nowhere."""
    values = {**files, "--endpoint": "127.0.0.1:1", "--instance-type": "omni"}
    words = [word for name in wrong for word in (name, values.get(name)) if word]
    assert main(["create", _DATABASE, *words]) == 2
    assert capsys.readouterr().err.startswith("spanner-sessions: ")
