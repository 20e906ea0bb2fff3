"""The steps from the environment to HTTP/2, each with a connection of the doctor's own."""

from __future__ import annotations

import base64
import importlib.metadata
import os
import platform
import re
import socket
import ssl
import struct
import tempfile
from concurrent.futures import Future, TimeoutError as FutureTimeoutError  # Python's own only from 3.11 on
from pathlib import Path
from threading import Thread
from typing import Any, Final

import grpc

from spanner_grpc_sessions._version import __version__
from spanner_grpc_sessions.cli.doctor import diagnosis
from spanner_grpc_sessions.cli.doctor.case import Case
from spanner_grpc_sessions.cli.doctor.finding import Finding, Trouble
from spanner_grpc_sessions.transport.channel import Security, resolve
from spanner_grpc_sessions.transport.proxy import Proxy

# Seconds for DNS, a connection and each handshake.
_PATIENCE: Final = 5.0
_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_SETTINGS: Final = 4
_NO_SETTINGS: Final = struct.pack(">I", 0)[1:] + struct.pack(">BBI", _SETTINGS, 0, 0)
_FRAME_HEADER: Final = 9
_TLS_ALERT: Final = b"\x15\x03"
_MAX_ANSWER: Final = 65536
# Variables that decide where calls go, by which way, and with whose token.
_VARIABLES: Final = re.compile(
    r"SPANNER_|GOOGLE_|GCE_|CLOUDSDK_|((HTTPS?|ALL|NO|GRPC|NO_GRPC)_PROXY|GRPC_DEFAULT_SSL_ROOTS_FILE_PATH)$",
    re.IGNORECASE,
)


def environment(case: Case) -> Finding:
    """Find out where calls go, as a client does."""
    try:
        case.target = resolve(case.options, case.credentials)
    except ValueError as error:
        raise diagnosis.of_setting(error, os.environ.get(diagnosis.EMULATOR, "")) from error
    target = case.target
    names = sorted(filter(_VARIABLES.match, os.environ))
    text = f"{target.address}, {'TLS' if target.security == Security.TLS else 'plaintext'}"
    if target.proxy is not None:
        text += f", by the proxy {target.proxy.address}"
    if names:
        text += f"; set: {', '.join(names)}"
    versions = {
        "spanner-grpc-sessions": __version__,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in ("grpcio", "protobuf", "google-auth")},
    }
    return Finding(text, data={"address": target.address, "variables": names, "versions": versions})


def dns(case: Case) -> Finding:
    """Resolve the name of the server, or of the proxy before it."""
    if case.is_socket:
        return Finding("a Unix socket needs none", "skipped")
    host, _, port = case.peer.rpartition(":")
    host = host.strip("[]")
    answer: Future[list[Any]] = Future()
    # A name server that is silent would keep getaddrinfo for half a minute.
    Thread(target=_resolve, args=(host, int(port), answer), daemon=True).start()
    try:
        case.addresses = answer.result(_PATIENCE)
    except (OSError, FutureTimeoutError, UnicodeError) as error:
        unknown = not isinstance(error, FutureTimeoutError) and getattr(error, "errno", None) != socket.EAI_AGAIN
        raise diagnosis.of_name(host, unknown=unknown, is_proxy=case.target.proxy is not None) from error
    found = list(dict.fromkeys(address[4][0] for address in case.addresses))
    return Finding(f"{host} is {', '.join(map(str, found))}", data={"addresses": found})


def _resolve(host: str, port: int, answer: Future[list[Any]]) -> None:
    try:
        answer.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except Exception as error:  # noqa: BLE001 - the caller gets it
        answer.set_exception(error)


def tcp(case: Case) -> Finding:
    """Connect to the server, by the proxy if there is one."""
    proxy = case.target.proxy
    try:
        case.socket = case.stack.enter_context(_connected(case))
        case.socket.settimeout(_PATIENCE)
        if proxy is not None:
            _tunnel(case.socket, proxy, case.target.address)
    except OSError as error:
        emulator = case.target.security == Security.PLAINTEXT
        raise diagnosis.of_connection(error, case.peer, is_proxy=proxy is not None, is_emulator=emulator) from error
    by = f", by the proxy {proxy.address}" if proxy else ""
    return Finding(f"connected to {case.target.address}{by}")


def _connected(case: Case) -> socket.socket:
    if case.is_socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(_PATIENCE)
        connection.connect(case.target.address.removeprefix("unix:"))
        return connection
    failure: OSError = OSError("there is no address")
    # A name has an address of IPv6 and one of IPv4, as a rule.
    for family, kind, protocol, _, address in case.addresses[:4]:
        connection = socket.socket(family, kind, protocol)
        connection.settimeout(_PATIENCE)
        try:
            connection.connect(address)
        except OSError as error:
            connection.close()
            failure = error
        else:
            return connection
    raise failure


def _tunnel(connection: socket.socket, proxy: Proxy, address: str) -> None:
    lines = [f"CONNECT {address} HTTP/1.1", f"Host: {address}"]
    if proxy.user is not None:
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(proxy.user.encode()).decode()}")
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    answer = b""
    while b"\r\n\r\n" not in answer and len(answer) < _MAX_ANSWER and (more := connection.recv(1)):
        answer += more
    match = re.match(rb"HTTP/1\.[01] (\d{3})", answer)
    status = int(match[1]) if match else 0
    if status != 200:
        raise diagnosis.of_proxy(status, proxy.address, address)


def tls(case: Case) -> Finding:
    """Shake hands with the authorities that gRPC would trust."""
    if case.target.security != Security.TLS:
        return Finding("plaintext, without TLS", "skipped")
    address = case.target.address
    context = _context(case)
    try:
        connection = context.wrap_socket(case.socket, server_hostname=case.host)
    except ssl.SSLCertVerificationError as error:
        raise diagnosis.of_certificate(error.verify_code, error.verify_message, case.host) from error
    except OSError as error:
        raise diagnosis.of_handshake(str(error), address) from error
    case.socket = case.stack.enter_context(connection)
    if connection.selected_alpn_protocol() != "h2":
        raise diagnosis.without_http2(address)
    certificate: Any = connection.getpeercert() or {}
    expires = str(certificate.get("notAfter", ""))
    return Finding(f"{connection.version()}, certificate valid until {expires}", data={"expires": expires})


def _context(case: Case) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["h2"])
    if case.options.root_certificates is not None:
        context.load_verify_locations(cadata=case.options.root_certificates.decode("ascii", "ignore"))
    else:
        ours = Path(grpc.__file__).parent / "_cython" / "_credentials" / "roots.pem"
        context.load_verify_locations(os.environ.get("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH") or ours)
    if case.target.client_certificate is not None:
        with tempfile.TemporaryDirectory() as folder:  # open to its owner only, and gone before anything is sent
            file = Path(folder, "client.pem")
            file.write_bytes(b"\n".join(case.target.client_certificate))
            context.load_cert_chain(file)
    return context


def http2(case: Case) -> Finding:
    """Exchange the first frames of HTTP/2."""
    address = case.target.address
    try:
        case.socket.sendall(_PREFACE + _NO_SETTINGS)
        start = b""
        while len(start) < _FRAME_HEADER and (more := case.socket.recv(_FRAME_HEADER - len(start))):
            start += more
    except ssl.SSLError as error:
        raise diagnosis.of_handshake(str(error), address) from error
    except TimeoutError as error:
        raise diagnosis.without_http2(address) from error
    except OSError:
        start = b""
    if not start or start.startswith(_TLS_ALERT):
        raise _silence(case)
    if len(start) < _FRAME_HEADER or start[3] != _SETTINGS:
        raise diagnosis.of_greeting(start, address)
    return Finding("the server speaks HTTP/2")


def _silence(case: Case) -> Trouble:
    in_tls = case.target.security == Security.TLS
    shows_certificate = case.target.client_certificate is not None
    speaks_tls = not in_tls and _speaks_tls(case)
    return diagnosis.of_silence(
        case.target.address, speaks_tls=speaks_tls, in_tls=in_tls, shows_certificate=shows_certificate
    )


def _speaks_tls(case: Case) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is sent
    try:
        with _connected(case) as plain, context.wrap_socket(plain):
            return True
    except OSError:
        return False
