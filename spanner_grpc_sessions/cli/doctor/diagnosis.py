"""From a failure to its cause, in a sentence that says what is wrong and what to do. Pure."""

from __future__ import annotations

import re
from typing import Any, Final

from spanner_grpc_sessions.cli.doctor.finding import Trouble
from spanner_grpc_sessions.errors.rpc import DatabaseNotFound, RpcError

EMULATOR: Final = "SPANNER_EMULATOR_HOST"
# Seconds by which clocks may differ: Google takes a token that was made some minutes off.
MAX_SKEW: Final = 60.0
_REGIONAL: Final = re.compile(r"spanner\.([a-z0-9-]+)\.rep\.")
_LOGIN: Final = "gcloud auth application-default login"
_KEY_FILE: Final = "GOOGLE_APPLICATION_CREDENTIALS"
_SCOPES: Final = "https://www.googleapis.com/auth/spanner.data or https://www.googleapis.com/auth/cloud-platform"
# OpenSSL's numbers of what is wrong with a certificate.
_NOT_YET_VALID: Final = 9
_EXPIRED: Final = 10
_OTHER_HOST: Final = frozenset({62, 64})
# OpenSSL's words for a server that speaks something else, and for one that wants a certificate of the client.
_NO_TLS: Final = re.compile(r"wrong.version.number|record.layer.failure|http.request|unexpected.message", re.IGNORECASE)
_NO_CERTIFICATE: Final = re.compile(r"certificate.required|handshake.failure|unknown.ca|bad.certificate", re.IGNORECASE)
# What Google's token endpoint says of a time that it does not accept, and LocalSpanner's.
_OF_TIME: Final = re.compile(r"reasonable timeframe|\biat\b|issued in the future|used too early", re.IGNORECASE)
# Statuses of calls: the cause, what is wrong, and what to do.
_STATUSES: Final = {
    "PERMISSION_DENIED": (
        "no-permission",
        "{who} lacks {permission} on {database}",
        "grant a role that has it, like roles/spanner.databaseUser",
    ),
    "UNAUTHENTICATED": (
        "token-rejected",
        "{address} does not accept the token of {who}",
        "use credentials that it knows",
    ),
    "UNIMPLEMENTED": (
        "not-spanner",
        "What answers at {address} has no such method, and may not be Spanner",
        "correct the endpoint",
    ),
    "UNAVAILABLE": ("unavailable", "{address} takes connections and no calls", "try again later"),
    "DEADLINE_EXCEEDED": (
        "no-answer",
        "{address} takes connections and answers no call in time",
        "try again later, or with a longer --timeout",
    ),
    "RESOURCE_EXHAUSTED": ("quota", "A quota is used up, or the server is overloaded", "wait, or raise the quota"),
}


def of_setting(error: ValueError, emulator: str) -> Trouble:
    """Return what is wrong with options or environment; `emulator` is the value of SPANNER_EMULATOR_HOST."""
    scheme, separator, rest = emulator.partition("://")
    if separator and str(error).startswith(EMULATOR):
        address = rest.strip("/") or "localhost:9010"
        return Trouble("scheme-in-emulator-host", f"{EMULATOR} begins with {scheme}://: set it to {address}.")
    return Trouble("setting", f"A setting cannot be used: {error}.")


def of_name(host: str, *, unknown: bool, is_proxy: bool) -> Trouble:
    """Return what it means that a name does not resolve: a name server does not know it, or none answered."""
    region = _REGIONAL.match(host)
    if not unknown:
        text = f"No name server answered for {host}: check the network and the DNS settings of this machine."
    elif is_proxy:
        text = f"The name of the proxy, {host}, does not exist: correct the proxy variables of the environment."
    elif region:
        remedy = "correct the region, or use spanner.googleapis.com"
        return Trouble("wrong-region", f"Spanner has no endpoint in the region {region[1]!r}: {remedy}.")
    elif host.endswith("googleapis.com"):
        remedy = "let it resolve googleapis.com, or correct the endpoint"
        text = f"The name server of this machine does not know {host}: {remedy}."
    else:
        text = f"The name {host} does not exist: correct the endpoint."
    return Trouble("name-not-resolved", text)


def of_connection(error: OSError, address: str, *, is_proxy: bool, is_emulator: bool) -> Trouble:
    """Return what it means that there is no TCP connection to "host:port"."""
    what = f"The proxy {address}" if is_proxy else address
    if isinstance(error, ConnectionRefusedError) and is_emulator:
        remedy = f"start the emulator there (gcloud emulators spanner start), or unset {EMULATOR}"
        return Trouble("emulator-down", f"Nothing listens at {address}: {remedy}.")
    if isinstance(error, ConnectionRefusedError):
        remedy = (
            "correct the proxy variables of the environment" if is_proxy else "start the server, or correct the port"
        )
        return Trouble("proxy" if is_proxy else "refused", f"{what} refuses connections: {remedy}.")
    if isinstance(error, TimeoutError):
        return Trouble(
            "no-answer", f"{what} does not answer: have firewalls and routes allow it, or correct the address."
        )
    return Trouble("unreachable", f"{what} cannot be reached ({error}): check the network, routes and firewall.")


def of_proxy(status: int, proxy: str, address: str) -> Trouble:
    """Return what the answer of a proxy to CONNECT means; 0 if it was no answer of HTTP."""
    if status == 407:
        remedy = f"put them into its URL, http://user:password@{proxy}"
        return Trouble("proxy", f"The proxy {proxy} asks for a user and password, or for others: {remedy}.")
    answer = f"answers CONNECT {address} with {status}" if status else "does not speak HTTP"
    remedy = f"have it allow {address}, or name {address.rpartition(':')[0]} in no_proxy"
    return Trouble("proxy", f"The proxy {proxy} {answer}: {remedy}.")


def of_certificate(code: int, message: str, host: str) -> Trouble:
    """Return what is wrong with the certificate of a server, by OpenSSL's number and words."""
    if code in _OTHER_HOST:
        return Trouble("other-host", f"The certificate is not of {host} ({message}): connect by a name that it has.")
    if code == _NOT_YET_VALID:
        return Trouble("clock-skew", "The certificate is not valid yet: set this machine's clock, which is behind.")
    if code == _EXPIRED:
        text = "The certificate has expired: renew it, or, if it is Google's, set the clock of this machine."
        return Trouble("certificate-expired", text)
    remedy = "give its root with --root-certificates, or that of the proxy, if one opens TLS"
    text = f"The authority of the certificate of {host} is not trusted ({message}): {remedy}."
    return Trouble("unknown-authority", text)


def of_handshake(words: str, address: str) -> Trouble:
    """Return what the failure of TLS means that is not about the server's certificate, by OpenSSL's words."""
    if _NO_TLS.search(words):
        return Trouble("no-tls", f"{address} does not speak TLS: use --plaintext for an emulator, or correct the port.")
    if _NO_CERTIFICATE.search(words):
        remedy = "show one that it accepts with --client-certificate and --client-key"
        return Trouble("client-certificate", f"{address} asks for a certificate of the client ({words}): {remedy}.")
    return Trouble("tls", f"TLS with {address} fails ({words}): have no proxy or firewall cut it off.")


def of_greeting(start: bytes, address: str) -> Trouble:
    """Return what it means that a server does not begin with HTTP/2's settings."""
    if start.startswith((b"HTTP/1", b"<")):
        remedy = "use its gRPC port (the emulator's is 9010, and 9020 is for REST)"
        return Trouble("no-http2", f"{address} speaks HTTP/1.1, not HTTP/2: {remedy}.")
    return without_http2(address)


def of_silence(address: str, *, speaks_tls: bool, in_tls: bool, shows_certificate: bool) -> Trouble:
    """Return what it means that a server ends the connection instead of beginning with HTTP/2."""
    if speaks_tls:
        return Trouble("tls-expected", f"{address} speaks TLS: leave --plaintext out.")
    if in_tls and not shows_certificate:
        # It has agreed on HTTP/2 before. In TLS 1.3 it sees only then that there is no certificate.
        return of_handshake("certificate required", address)
    return without_http2(address)


def without_http2(address: str) -> Trouble:
    """Return that a server has no HTTP/2."""
    remedy = "correct the endpoint, or have the proxy before it let HTTP/2 pass"
    return Trouble("no-http2", f"{address} does not speak HTTP/2: {remedy}.")


def of_credentials(error: BaseException, file: str) -> Trouble:
    """Return what it means that there are no credentials; `file` is that of GOOGLE_APPLICATION_CREDENTIALS."""
    if file and "was not found" in str(error):
        return Trouble("no-credentials", f"There is no file {file}: set {_KEY_FILE} to one that exists, or unset it.")
    if file:
        remedy = f"make a new key, or unset it and run `{_LOGIN}`"
        return Trouble("bad-credentials", f"{_KEY_FILE} names no usable credentials ({error}): {remedy}.")
    remedy = f"run `{_LOGIN}`, or set {_KEY_FILE} to a key file"
    return Trouble("no-credentials", f"There are no application default credentials: {remedy}.")


def of_token(text: str, who: str, skew: float | None, *, passing: bool, is_user: bool) -> Trouble:
    """Return what it means that no token could be got, by the text of the error.

    `skew` is by how many seconds this machine's clock is ahead of the token endpoint's, None if that is not known.
    """
    if passing:
        remedy = "let this machine reach it, by a proxy if need be, or wait until it is back"
        return Trouble("token-endpoint", f"The token endpoint gives no token ({text}): {remedy}.")
    if is_skewed(skew) or _OF_TIME.search(text):
        return of_skew(skew if is_skewed(skew) else None)
    if "scope" in text:
        return of_scope(who)
    if is_user:
        return Trouble("expired-key", f"The login of {who} has expired or was revoked: run `{_LOGIN}` again.")
    if "invalid_grant" in text or "Signature" in text:
        remedy = f"create a new one and set {_KEY_FILE} to it"
        return Trouble("expired-key", f"The key of {who} has expired, or was deleted or disabled: {remedy}.")
    return Trouble("token", f"There is no token for {who} ({text}): correct the credentials.")


def is_skewed(skew: float | None) -> bool:
    """Return whether clocks differ by more than they may."""
    return skew is not None and abs(skew) > MAX_SKEW


def of_skew(skew: float | None) -> Trouble:
    """Return that the clock is wrong."""
    by = "" if skew is None else f", {abs(skew):,.0f} s {'ahead' if skew > 0 else 'behind'}"
    data = {} if skew is None else {"skewSeconds": round(skew, 3)}
    return Trouble("clock-skew", f"The clock of this machine is wrong{by}: set it, best by NTP.", **data)


def of_scope(who: str, **data: Any) -> Trouble:
    """Return that a token lacks the scope."""
    return Trouble(
        "wrong-scope", f"The token of {who} does not open Spanner: get one with the scope {_SCOPES}.", **data
    )


def of_call(failure: RpcError, database: str, address: str, who: str, permission: str) -> Trouble:
    """Return why an RPC failed."""
    reasons = {str(detail.get("reason", "")) for detail in failure.error_details}
    body = failure.to_rest()
    if _is_regional(failure, address):
        region = _REGIONAL.match(address)
        where = f"in the region {region[1]}" if region else "in the region of the endpoint"
        remedy = "use the endpoint of its own region, or spanner.googleapis.com"
        return Trouble("wrong-region", f"The instance is not {where}: {remedy}.", **body)
    if "ACCESS_TOKEN_SCOPE_INSUFFICIENT" in reasons:
        return of_scope(who, **body)
    if isinstance(failure, DatabaseNotFound):
        return Trouble("wrong-database", _of_database(failure, database), **body)
    if "SERVICE_DISABLED" in reasons:
        remedy = "run `gcloud services enable spanner.googleapis.com`"
        return Trouble("api-disabled", f"The project has not enabled Spanner: {remedy}.", **body)
    if failure.status not in _STATUSES:
        text = f"{failure.method} fails with {failure.status}: {failure.message}"
        return Trouble("call", text, **body)
    cause, problem, remedy = _STATUSES[failure.status]
    named = problem.format(who=who, permission=permission, database=database, address=address)
    return Trouble(cause, f"{named} ({failure.message}): {remedy}.", **body)


def _is_regional(failure: RpcError, address: str) -> bool:
    if failure.status not in {"INVALID_ARGUMENT", "FAILED_PRECONDITION", "PERMISSION_DENIED", "NOT_FOUND"}:
        return False
    return "InvalidRegionalRequest" in failure.message or (".rep." in address and "region" in failure.message.lower())


def _of_database(failure: RpcError, database: str) -> str:
    missing = next((detail for detail in failure.error_details if detail.get("resourceType")), {})
    project, _, rest = database.partition("/instances/")
    instance = rest.partition("/")[0]
    if str(missing.get("resourceType", "")).endswith("Instance"):
        return f"{project} has no instance {instance!r}: correct the name, or create it."
    return f"The instance {instance!r} has no database {database.rpartition('/')[2]!r}: correct the name, or create it."


def described(credentials: Any) -> str:
    """Return whose credentials these are."""
    email = getattr(credentials, "service_account_email", None)
    kind = type(credentials).__module__
    if email and email != "default":
        return f"service account {email}"
    if kind.endswith("oauth2.credentials"):
        return f"user {credentials.account}" if getattr(credentials, "account", "") else "the gcloud login"
    return "the machine's service account" if "compute_engine" in kind else type(credentials).__name__
