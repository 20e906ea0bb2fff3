"""The options of the command line: their types, and those by which every command connects."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

import click
from click.core import ParameterSource

from spanner_grpc_sessions.cli.output import Output
from spanner_grpc_sessions.client import SessionsClient
from spanner_grpc_sessions.errors import InvalidValue
from spanner_grpc_sessions.options import DEFAULT, ClientOptions, InstanceType, Timeout, check_timeout
from spanner_grpc_sessions.service.names import check_database, check_session

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# Options that say where and how to connect.
_CONNECTING: Final = (
    *("endpoint", "plaintext", "instance_type"),
    *("root_certificates", "client_certificate", "client_key"),
)


if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]  # generic only since click 8.3
else:
    _ParamType = click.ParamType


class _Type(_ParamType):
    """A type made of a function, whose `ValueError` is the message of wrong usage."""

    def __init__(self, name: str, convert: Callable[[str], Any]) -> None:
        self.name = name
        self._convert = convert

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value of a text."""
        if not isinstance(value, str):
            return value  # a default
        try:
            return self._convert(value)
        except InvalidValue:
            raise
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"expected KEY=VALUE, got {text!r}")
    return key, value


def _timeout(text: str) -> float | None:
    try:
        return check_timeout(float(text))
    except ValueError as error:
        raise ValueError(f"expected a number of seconds of at least 0, got {text!r}") from error


def _duration(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    if not match:
        raise ValueError(f"expected a time like 90s, 30m, 2h or 1d, got {text!r}")
    return float(match[1]) * _UNITS[match[2] or "s"]


DATABASE: Final = _Type("database", check_database)
SESSION: Final = _Type("session", check_session)
LABEL: Final = _Type("label", _label)
DURATION: Final = _Type("duration", _duration)
_DB: Final = "DB=projects/my-app/instances/prod/databases/orders"
_FILE: Final = click.Path(path_type=Path)


@dataclass(frozen=True)
class Where:
    """How a command connects, and for how long it waits.

    Attributes:
        timeout: seconds for each call.
        local: start a server for the command.
        verbose: print what the library logs.
    """

    timeout: Timeout
    local: bool
    endpoint: str | None
    plaintext: bool
    instance_type: InstanceType | None
    root_certificates: Path | None
    client_certificate: Path | None
    client_key: Path | None
    verbose: bool

    @contextmanager
    def client(self, output: Output) -> Iterator[SessionsClient]:
        """Give an open client."""
        with self.means(output) as (credentials, options), SessionsClient(credentials, options=options) as client:
            yield client

    @contextmanager
    def means(self, output: Output) -> Iterator[tuple[Credentials | None, ClientOptions]]:
        """Give what a client is made of, for a server that is started now if `--local` was given."""
        with output.log(self.verbose):
            if not self.local:
                yield None, self._options(output)
                return
            from spanner_grpc_sessions.local import LocalSpanner  # noqa: PLC0415 - not loaded for other commands

            with LocalSpanner() as spanner:
                output.tell(f"LocalSpanner started at {spanner.endpoint}, for this command only")
                yield spanner.credentials(), spanner.client_options(observer=output.calls)

    def _options(self, output: Output) -> ClientOptions:
        if (self.client_certificate is None) != (self.client_key is None):
            raise InvalidValue("--client-certificate and --client-key need each other")
        root, chain, key = (
            None if path is None else path.read_bytes()
            for path in (self.root_certificates, self.client_certificate, self.client_key)
        )
        return ClientOptions(
            endpoint=self.endpoint,
            plaintext=self.plaintext,
            instance_type=self.instance_type or "cloud",
            root_certificates=root,
            client_certificate=None if chain is None or key is None else (chain, key),
            observer=output.calls,
        )


def connects(*, timeout: Timeout = DEFAULT) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a function of `output`, `where` and its own parameters one of the command line's parameters."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @click.pass_context
        @functools.wraps(function)
        def command(context: click.Context, /, **values: Any) -> None:
            where = Where(**{field.name: values.pop(field.name) for field in fields(Where)})
            if where.local:
                _require_local_alone(context)
            function(context.obj, where, **values)

        result: Callable[..., None] = command
        for option in reversed(_options(timeout)):
            result = option(result)
        return result

    return decorate


def _require_local_alone(context: click.Context) -> None:
    if any(context.get_parameter_source(name) is ParameterSource.COMMANDLINE for name in _CONNECTING):
        others = ", ".join(f"--{name.replace('_', '-')}" for name in _CONNECTING)
        raise InvalidValue(f"--local cannot be used with any of {others}")


def _options(timeout: Timeout) -> list[Any]:
    kind = _Type("seconds", _timeout)
    shown = "Google's for each RPC" if timeout is DEFAULT else f"{timeout:g}"
    return [
        click.option(
            "--timeout", type=kind, default=timeout, metavar="SECONDS", help=f"Limit for each call (default: {shown})."
        ),
        click.option("--local", is_flag=True, help="Use a local server, started for this command."),
        click.option(
            "--endpoint",
            metavar="HOST:PORT",
            envvar="SPANNER_SESSIONS_ENDPOINT",
            help="Connect here instead of to spanner.googleapis.com (or set SPANNER_SESSIONS_ENDPOINT).",
        ),
        click.option("--plaintext", is_flag=True, help="Use no TLS, for emulators."),
        click.option(
            "--instance-type",
            type=click.Choice(get_args(InstanceType)),
            help="omni: Spanner Omni at the endpoint, without a token.",
        ),
        click.option(
            "--root-certificates",
            type=_FILE,
            metavar="FILE",
            envvar="SPANNER_SESSIONS_ROOT_CERTIFICATES",
            help="PEM file of the authorities to trust (or set SPANNER_SESSIONS_ROOT_CERTIFICATES).",
        ),
        click.option(
            "--client-certificate",
            type=_FILE,
            metavar="FILE",
            help="PEM file of the certificate chain to show, for mutual TLS.",
        ),
        click.option(
            "--client-key", type=_FILE, metavar="FILE", help="PEM file of the certificate's unencrypted private key."
        ),
        click.option("-v", "--verbose", is_flag=True, help="Show calls, attempts and what the library logs."),
    ]


def examples(*lines: str) -> str:
    """Return the end of a help text: commands as one would type them, with the name of a database in $DB."""
    named = (_DB, *lines) if any("$DB" in line for line in lines) else lines
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in named)
