"""Certificates are looked at before gRPC gets them, and found in the environment where google-auth finds them."""

from __future__ import annotations

import contextlib
import json
import sys
import traceback
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from google.auth.exceptions import GoogleAuthError
from hypothesis import given, strategies as st

from spanner_grpc_sessions.errors import CredentialsError, InvalidValue
from spanner_grpc_sessions.transport.client_certificate import (
    check_client_certificate,
    check_root_certificates,
    endpoint_mode,
    environment_certificate,
)
from tests.support.certificates import make_authority

AUTHORITY = make_authority()
ROOT = AUTHORITY.root
CHAIN, KEY = PAIR = AUTHORITY.issue("client")
OTHER_CHAIN, OTHER_KEY = AUTHORITY.issue("other")
DAMAGED = CHAIN.replace(b"-----\nMII", b"-----\nAAA")


def _key_as(form: PrivateFormat, encryption: KeySerializationEncryption | None = None) -> bytes:
    return load_pem_private_key(KEY, None).private_bytes(Encoding.PEM, form, encryption or NoEncryption())


# By name, so that no key is in the name of a test.
ROOTS = {
    "one": ROOT,
    "two": ROOT + CHAIN,
    "repeated": ROOT + ROOT,
    "lines of Windows": ROOT.replace(b"\n", b"\r\n"),
    "comments": "# Főtanúsítvány\n".encode() + ROOT + b"\n# \xff end",
    "beside a key": KEY + ROOT,
}
NO_ROOTS = {
    "none": b"",
    "text": b"PEM",
    "a key": KEY,
    "cut": ROOT[:-60],
    "damaged": DAMAGED,
    "second damaged": ROOT + DAMAGED,
    "second cut": ROOT + CHAIN[:-60],
    "not base64": ROOT.replace(b"\nMII", b"\n\xffMII"),
}
PAIRS = {
    "PKCS #8": PAIR,
    "chain": (CHAIN + ROOT, KEY),
    "of EC": (CHAIN, _key_as(PrivateFormat.TraditionalOpenSSL)),
    "one file": (CHAIN + KEY, CHAIN + KEY),
    "comments": (b"# \xff\n" + CHAIN, b"# \xff\n" + KEY),
}
NO_CHAINS = {"no certificate": b"PEM", "damaged certificate": DAMAGED, "certificate of another": OTHER_CHAIN}
NO_KEYS = {
    "no key": b"PEM",
    "cut key": KEY[:-40],
    "damaged key": KEY.replace(b"-----\nMI", b"-----\nAA"),
    "key of SSH": _key_as(PrivateFormat.OpenSSH),
    "encrypted key": _key_as(PrivateFormat.PKCS8, BestAvailableEncryption(b"word")),
    "key of another": OTHER_KEY,
}
NO_PAIRS = {
    **{name: (chain, KEY) for name, chain in NO_CHAINS.items()},
    **{name: (CHAIN, key) for name, key in NO_KEYS.items()},
    "key not base64": (CHAIN, KEY.replace(b"-----\nMI", b"-----\nM!")),
    "empty": (b"", b""),
    "swapped": (KEY, CHAIN),
    "damaged chain": (CHAIN + DAMAGED, KEY),
    "chain upside down": (ROOT + CHAIN, KEY),
}
NO_CONFIGS = {
    "no JSON": b"{",
    "no text": b"\xff\xfe",
    "no path of a key": b'{"cert_configs": {"workload": {"cert_path": "chain.pem"}}}',
    "a key for a configuration": KEY,
}


def _shows_key(error: BaseException) -> bool:
    """Return whether a line of a key is in what a log shows of an exception, its causes included."""
    shown = repr(error) + "".join(traceback.format_exception(error))
    secrets = b"".join((KEY, OTHER_KEY, *NO_KEYS.values())).decode().splitlines()
    return any(line in shown for line in secrets if len(line) > 20 and "-----" not in line)


@pytest.mark.parametrize(
    ("value", "mode"),
    [(None, "auto"), ("", "auto"), ("auto", "auto"), ("always", "always"), ("never", "never"), (" Always ", "always")],
)
def test_modes_of_the_endpoint_are_google_auths(value: str | None, mode: str) -> None:
    """The variable is read as google-auth reads it; unset is auto."""
    assert endpoint_mode({} if value is None else {"GOOGLE_API_USE_MTLS_ENDPOINT": value}) == mode


@pytest.mark.parametrize("value", ["true", "1", "yes", "always!", "auto,never"])
def test_other_modes_are_refused(value: str) -> None:
    """Anything else is an error that names the variable, the value and the rule."""
    with pytest.raises(InvalidValue, match="GOOGLE_API_USE_MTLS_ENDPOINT must be auto, always or never") as error:
        endpoint_mode({"GOOGLE_API_USE_MTLS_ENDPOINT": value})
    assert repr(value) in str(error.value)


@pytest.mark.parametrize("name", ROOTS)
def test_roots_in_pem_are_taken(name: str) -> None:
    """Bundles as they are found in the wild."""
    check_root_certificates(ROOTS[name])


@pytest.mark.parametrize("name", NO_ROOTS)
def test_roots_that_cannot_be_parsed_are_refused(name: str) -> None:
    """Every certificate of the bundle has to be one: gRPC would do without the rest, or connect to no server."""
    with pytest.raises(InvalidValue, match="root_certificates must be certificates in PEM") as error:
        check_root_certificates(NO_ROOTS[name])
    assert not _shows_key(error.value)


@pytest.mark.parametrize("name", PAIRS)
def test_certificates_with_their_key_are_taken(name: str) -> None:
    """What gRPC can use; tests/integration/test_mtls.py connects with such."""
    check_client_certificate(PAIRS[name])


@pytest.mark.parametrize("name", NO_PAIRS)
def test_certificates_that_cannot_be_used_are_refused(name: str) -> None:
    """What gRPC would fail with in silence is refused by name, and no part of the key is shown."""
    with pytest.raises(InvalidValue, match=r"client_certificate must (be|have) ") as error:
        check_client_certificate(NO_PAIRS[name])
    assert not _shows_key(error.value)
    # A parser of keys may quote them; one of certificates may say what is wrong.
    assert (error.value.__cause__ is None) is (NO_PAIRS[name][0] in {CHAIN, OTHER_CHAIN, ROOT + CHAIN})


@given(st.binary(max_size=80), st.sampled_from([b"", CHAIN, KEY, b"-----BEGIN CERTIFICATE-----\n"]), st.booleans())
def test_any_certificates_raise_only_our_error(noise: bytes, frame: bytes, after: bool) -> None:
    """The checks pass, or raise `InvalidValue`."""
    text = frame + noise if after else noise + frame
    with contextlib.suppress(InvalidValue):
        check_root_certificates(text)
    for pair in ((text, KEY), (CHAIN, text)):
        with contextlib.suppress(InvalidValue):
            check_client_certificate(pair)


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A certificate where google-auth looks for that of a workload; the folder with its parts."""
    (tmp_path / "chain.pem").write_bytes(CHAIN)
    (tmp_path / "key.pem").write_bytes(KEY)
    paths = {"cert_path": str(tmp_path / "chain.pem"), "key_path": str(tmp_path / "key.pem")}
    (tmp_path / "config.json").write_text(json.dumps({"version": 1, "cert_configs": {"workload": paths}}))
    monkeypatch.setenv("GOOGLE_API_CERTIFICATE_CONFIG", str(tmp_path / "config.json"))
    return tmp_path


@pytest.mark.parametrize(
    ("use", "is_used"),
    [(None, True), ("", True), ("true", True), ("True", True), ("false", False), ("yes", False), ("1", False)],
)
def test_use_of_the_environments_certificate_is_google_auths_choice(
    configured: Path, monkeypatch: pytest.MonkeyPatch, use: str | None, is_used: bool
) -> None:
    """Only "true" asks for it, and unset looks for it; any other text is no."""
    if use is not None:
        monkeypatch.setenv("GOOGLE_API_USE_CLIENT_CERTIFICATE", use)
    assert (environment_certificate() == PAIR) is is_used
    assert is_used or environment_certificate() is None


@pytest.mark.parametrize("use", [None, "true"])
def test_environment_without_a_certificate_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, use: str | None
) -> None:
    """Where there is nothing to find, asking for it is no error: Google's clients go on without one."""
    monkeypatch.setenv("HOME", str(tmp_path))
    if use is not None:
        monkeypatch.setenv("GOOGLE_API_USE_CLIENT_CERTIFICATE", use)
    assert environment_certificate() is None


@pytest.mark.parametrize(
    ("file", "name"),
    [
        *(("config.json", name) for name in NO_CONFIGS),
        *(("chain.pem", name) for name in (*NO_CHAINS, "no file")),
        *(("key.pem", name) for name in (*NO_KEYS, "no file")),
    ],
)
def test_environments_certificate_that_cannot_be_used_is_a_credentials_error(
    configured: Path, monkeypatch: pytest.MonkeyPatch, file: str, name: str
) -> None:
    """Whatever is wrong with it, the error is ours, names where the certificate comes from, and shows no key."""
    monkeypatch.setenv("GOOGLE_API_USE_CLIENT_CERTIFICATE", "true")
    if name == "no file":
        (configured / file).unlink()
    else:
        (configured / file).write_bytes({**NO_CONFIGS, **NO_CHAINS, **NO_KEYS}[name])
    with pytest.raises(CredentialsError, match="GOOGLE_API_USE_CLIENT_CERTIFICATE") as error:
        environment_certificate()
    assert isinstance(error.value.__cause__, GoogleAuthError | OSError | ValueError)
    assert not _shows_key(error.value)


@pytest.mark.parametrize("status", [0, 1])
def test_certificate_provider_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    """A program that prints certificate and key serves too; when it fails, that is a `CredentialsError`."""
    program = tmp_path / "provider.py"
    program.write_text(f"print({(CHAIN + KEY).decode()!r})\nraise SystemExit({status})\n")
    metadata = tmp_path / ".secureConnect" / "context_aware_metadata.json"
    metadata.parent.mkdir()
    metadata.write_text(json.dumps({"cert_provider_command": [sys.executable, str(program)]}))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GOOGLE_API_USE_CLIENT_CERTIFICATE", "true")
    if status == 0:
        assert (environment_certificate() == PAIR) is True
        return
    with pytest.raises(CredentialsError, match="status code 1") as error:
        environment_certificate()
    assert not _shows_key(error.value)
