"""The token source as gRPC call credentials, for channels that users build."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import grpc

from spanner_grpc_sessions.errors import ClientClosed, CredentialsError

if TYPE_CHECKING:
    from spanner_grpc_sessions.auth import Tokens

# Seconds: gRPC does not tell a plugin the deadline of the call, but ends the call at it.
_TIMEOUT: Final = 60.0


def call_credentials(tokens: Tokens) -> grpc.CallCredentials:
    """Return call credentials with the tokens of a source."""
    return grpc.metadata_call_credentials(_Plugin(tokens), "spanner-grpc-sessions")


class _Plugin(grpc.AuthMetadataPlugin):
    """Runs on a thread of its own for each call, which gRPC starts."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def __call__(self, context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback) -> None:  # noqa: ARG002
        """Give gRPC the headers of a token, or the reason why there is none."""
        try:
            headers = None if self._tokens.closed else self._tokens.current()
            callback(self._tokens.wait(_TIMEOUT) if headers is None else headers, None)
        except (CredentialsError, ClientClosed) as error:
            callback((), error)
