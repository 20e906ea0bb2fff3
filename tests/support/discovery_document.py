"""Written by Google: Cloud Spanner's discovery document and the client that Google builds from it, as judges.

The document tells which methods there are and which form a body has. The client talks to the emulator's REST gateway,
whose few departures from Google's own front end `GatewayHttp` undoes.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

import grpc
import httplib2
import jsonschema
from googleapiclient import discovery
from googleapiclient.http import HttpRequest

from tests.support.waiting import WAIT

__all__ = ["check_body", "document", "google_sessions", "session_methods"]

# The emulator gives a gRPC code where Google's front end gives the canonical name.
_STATUSES = {status.value[0]: status.name for status in grpc.StatusCode}


@cache
def document() -> dict[str, Any]:
    """Return the discovery document of Cloud Spanner, v1."""
    source = resources.files("googleapiclient.discovery_cache.documents").joinpath("spanner.v1.json")
    found: dict[str, Any] = json.loads(source.read_text())
    return found


def session_methods() -> dict[str, dict[str, Any]]:
    """Return its methods on sessions, but for those of another service, the Cassandra adapter."""
    place: Any = document()
    for name in ("projects", "instances", "databases", "sessions"):
        place = place["resources"][name]
    return {name: method for name, method in place["methods"].items() if not name.startswith("adapt")}


def check_body(schema: str, body: Any) -> None:
    """Check a body against a schema of the document, strictly: a key that it does not name is an error.

    Raises:
        jsonschema.ValidationError: the body has another form.
    """
    _validator(schema).validate(body)


@cache
def _validator(schema: str) -> jsonschema.Draft202012Validator:
    definitions = {name: _modern(definition) for name, definition in document()["schemas"].items()}
    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{schema}", "$defs": definitions})


def _modern(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema of the document, which is of an old draft, in today's JSON Schema."""
    if "$ref" in schema:
        return {"$ref": f"#/$defs/{schema['$ref']}"}
    if schema["type"] == "any":
        return {}
    modern: dict[str, Any] = {"type": schema["type"]}
    if "enum" in schema:
        modern["enum"] = schema["enum"]
    if "items" in schema:
        modern["items"] = _modern(schema["items"])
    if schema["type"] == "object":
        modern["properties"] = {name: _modern(inner) for name, inner in schema.get("properties", {}).items()}
        modern["additionalProperties"] = (
            _modern(schema["additionalProperties"]) if "additionalProperties" in schema else False
        )
    return modern


class GatewayHttp:
    """What google-api-python-client sends its requests with: to the emulator's REST gateway, and to nothing else.

    Args:
        endpoint: "host:port" of the gateway.
    """

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint

    def request(
        self, uri: str, method: str, body: str | None = None, headers: Mapping[str, str] | None = None, **_: Any
    ) -> tuple[httplib2.Response, bytes]:
        """Make one request, and answer it as Google's front end would."""
        path = uri.removeprefix(f"http://{self._endpoint}")
        connection = http.client.HTTPConnection(self._endpoint, timeout=WAIT)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        reply = httplib2.Response({"status": str(response.status), "content-type": "application/json"})
        reply.reason = response.reason
        return reply, self._as_google(response.status, path, content)

    def close(self) -> None:
        """Do nothing: each request has a connection of its own."""

    def _as_google(self, status: int, path: str, content: bytes) -> bytes:
        documents = [json.loads(line) for line in content.splitlines() if line]
        if status != http.client.OK:
            return json.dumps({"error": _error(documents[0], status)}).encode()
        if path.partition("?")[0].endswith((":executeStreamingSql", ":streamingRead", ":batchWrite")):
            return json.dumps([part["result"] for part in documents]).encode()
        return json.dumps(documents[0]).encode()


def _error(given: Mapping[str, Any], status: int) -> dict[str, Any]:
    """Return the error as Google's front end has it; the gateway wraps that of a stream alone."""
    error = given.get("error", given)
    return {"code": status, "message": error.get("message", ""), "status": _STATUSES[error["code"]]}


def google_sessions(rest_endpoint: str) -> Any:
    """Return the sessions resource of google-api-python-client, on the emulator's REST gateway.

    Args:
        rest_endpoint: "host:port" of the gateway.
    """
    service = discovery.build_from_document(
        document(),
        http=GatewayHttp(rest_endpoint),
        requestBuilder=HttpRequest,
        client_options={"api_endpoint": f"http://{rest_endpoint}"},
    )
    return service.projects().instances().databases().sessions()
