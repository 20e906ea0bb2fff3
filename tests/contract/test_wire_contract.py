"""The stubs against google-cloud-spanner: every name, number, type, path, HTTP rule and option of google.spanner.v1.

That package describes the service independently of our files: messages and enums as proto-plus classes, field
behaviors in their docstrings, paths and streams in its gRPC transport, HTTP rules in its REST transport, signatures
and resource patterns in its client. That both can be imported side by side is itself part of the contract.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import itertools
import pkgutil
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from unittest import mock

import grpc
import pytest
import spanner_grpc_sessions_pb
from google.api import annotations_pb2, client_pb2, field_behavior_pb2, resource_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, FileDescriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import FieldDescriptorProto
from google.protobuf.json_format import MessageToDict
from spanner_grpc_sessions_pb import spanner_pb2, spanner_pb2_grpc

with warnings.catch_warnings():
    # google-api-core warns on import when Google's support for the running Python ends or has ended.
    warnings.filterwarnings("ignore", "You are using a (non-supported )?Python version", FutureWarning)
    from google.cloud.spanner_v1 import types
    from google.cloud.spanner_v1.services.spanner import SpannerClient
    from google.cloud.spanner_v1.services.spanner.transports import SpannerGrpcTransport
    from google.cloud.spanner_v1.services.spanner.transports.rest_base import _BaseSpannerRestTransport

OUR_PACKAGE = "spanner_grpc_sessions_pb"
PACKAGE = "google.spanner.v1"
SERVICE = "google.spanner.v1.Spanner"
DATABASE, SESSION = "spanner.googleapis.com/Database", "spanner.googleapis.com/Session"
KIND = ("unary", "stream")
Rpc = tuple[str, str, tuple[bool, bool]]  # names of the request and the response, and which of them is a stream


class FieldFacts(NamedTuple):
    """What decides how a field looks on the wire and in JSON."""

    number: int
    type: str
    repeated: bool
    has_presence: bool
    json_name: str
    oneof: str | None
    refers_to: str | None


def _name(kind: Descriptor | EnumDescriptor) -> str:
    """Return the full name in the true package."""
    return re.sub(rf"^{OUR_PACKAGE}\.", f"{PACKAGE}.", kind.full_name)


def _fields(message: Descriptor) -> dict[str, FieldFacts]:
    # proto-plus gives an underscore to names that Python uses: type_, range_.
    return {field.name.rstrip("_"): _field_facts(field) for field in message.fields}


def _field_facts(field: FieldDescriptor) -> FieldFacts:
    kind = field.message_type or field.enum_type
    return FieldFacts(
        number=field.number,
        type=FieldDescriptorProto.Type.Name(field.type),  # type: ignore[arg-type] # the stubs want a NewType of int
        repeated=field.is_repeated,
        has_presence=field.has_presence,
        json_name=field.json_name,
        oneof=field.containing_oneof.name if field.containing_oneof else None,
        refers_to=_name(kind) if kind else None,
    )


def _walk(messages: Iterable[Descriptor]) -> Iterator[Descriptor]:
    for message in messages:
        yield message
        yield from _walk(message.nested_types)


def _messages(files: Iterable[FileDescriptor]) -> dict[str, Descriptor]:
    return {_name(message): message for file in files for message in _walk(file.message_types_by_name.values())}


def _enums(files: Iterable[FileDescriptor]) -> dict[str, dict[str, int]]:
    enums = [enum for file in files for enum in file.enum_types_by_name.values()]
    enums += [enum for message in _messages(files).values() for enum in message.enum_types]
    return {_name(enum): {value.name: value.number for value in enum.values} for enum in enums}


OUR_FILES = [
    importlib.import_module(f"{OUR_PACKAGE}.{found.name}").DESCRIPTOR
    for found in pkgutil.iter_modules(spanner_grpc_sessions_pb.__path__)
    if found.name.endswith("_pb2")
]
THEIR_FILES = {kind.pb().DESCRIPTOR.file for kind in vars(types).values() if hasattr(kind, "pb")}
OUR_MESSAGES, THEIR_MESSAGES = _messages(OUR_FILES), _messages(THEIR_FILES)
OUR_ENUMS, THEIR_ENUMS = _enums(OUR_FILES), _enums(THEIR_FILES)
OUR_RPCS: Mapping[str, MethodDescriptor] = spanner_pb2.DESCRIPTOR.services_by_name["Spanner"].methods_by_name
THEIR_HTTP_RULES: Mapping[str, list[dict[str, str]]] = {
    name.removeprefix("_Base"): cls._get_http_options()
    for name, cls in vars(_BaseSpannerRestTransport).items()
    if name.startswith("_Base")
}

every_message = pytest.mark.parametrize("name", sorted(OUR_MESSAGES.keys() | THEIR_MESSAGES.keys()))
every_enum = pytest.mark.parametrize("name", sorted(OUR_ENUMS.keys() | THEIR_ENUMS.keys()))
every_rpc = pytest.mark.parametrize("rpc", sorted(OUR_RPCS.keys() | THEIR_HTTP_RULES.keys()))


def test_nothing_is_missing_on_both_sides() -> None:
    """The service has 10 files, 81 messages and 6 map entries beside them, 15 enums and 17 RPCs."""
    map_entries = [name for name, message in OUR_MESSAGES.items() if message.GetOptions().map_entry]
    assert (len(OUR_MESSAGES) - len(map_entries), len(map_entries), len(OUR_ENUMS)) == (81, 6, 15)
    assert len(OUR_FILES) == len(THEIR_FILES) == 10
    assert len(OUR_RPCS) == len(THEIR_HTTP_RULES) == len(_their_rpcs()) == 17


@every_message
def test_message_has_the_same_fields(name: str) -> None:
    """A message is declared in the same file and has the same fields on both sides."""
    ours, theirs = OUR_MESSAGES[name], THEIR_MESSAGES[name]
    assert _fields(ours) == _fields(theirs)
    assert PurePosixPath(ours.file.name).name == PurePosixPath(theirs.file.name).name
    assert ours.GetOptions().map_entry == theirs.GetOptions().map_entry


@every_enum
def test_enum_has_the_same_values(name: str) -> None:
    """An enum has the same value names and numbers on both sides."""
    assert OUR_ENUMS[name] == THEIR_ENUMS[name]


@every_message
def test_field_behaviors_are_those_of_the_docstring(name: str) -> None:
    """A field is required, optional or output-only where its description in their docstring begins so."""
    behaviors = {field.name: _behaviors(field) for field in OUR_MESSAGES[name].fields}
    assert {field: words for field, words in behaviors.items() if words} == _documented_behaviors(name)


def test_docstrings_tell_every_field_behavior() -> None:
    """40 fields are required, 32 optional and 3 output-only: none is lost where the docstrings are read."""
    found = [word for name in THEIR_MESSAGES for words in _documented_behaviors(name).values() for word in words]
    assert {word: found.count(word) for word in found} == {"REQUIRED": 40, "OPTIONAL": 32, "OUTPUT_ONLY": 3}


def _behaviors(field: FieldDescriptor) -> list[str]:
    numbers = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
    return [field_behavior_pb2.FieldBehavior.Name(number) for number in numbers]


def _documented_behaviors(message: str) -> dict[str, list[str]]:
    if THEIR_MESSAGES[message].GetOptions().map_entry:
        return {}
    cls = functools.reduce(getattr, message.removeprefix(f"{PACKAGE}.").split("."), types)
    description = re.compile(r"^ +(\w+) \(.*\):\n +(Required|Optional|Output only)\.", re.MULTILINE)
    found = description.findall(inspect.getdoc(cls) or "")
    return {field.rstrip("_"): [words.upper().replace(" ", "_")] for field, words in found}


def _stub_calls(build_stub: Callable[[grpc.Channel], object]) -> dict[str, tuple[Any, Any, tuple[bool, bool]]]:
    """Return what a stub asks of its channel, by path: request serializer, response deserializer, streams."""
    channel = mock.create_autospec(grpc.Channel, instance=True)
    build_stub(channel)
    return {
        call.args[0]: (call.kwargs["request_serializer"], call.kwargs["response_deserializer"], (requests, responses))
        for requests, responses in itertools.product([False, True], repeat=2)
        for call in getattr(channel, f"{KIND[requests]}_{KIND[responses]}").call_args_list
    }


def _parsed_type(parse: Any) -> str:
    message = parse(b"")
    return _name((type(message).pb(message) if hasattr(type(message), "pb") else message).DESCRIPTOR)


@functools.cache
def _their_rpcs() -> dict[str, Rpc]:
    # Their logging interceptor would only reach the channel when a call is made.
    with mock.patch("grpc.intercept_channel", lambda channel, _: channel):
        calls = _stub_calls(lambda channel: SpannerGrpcTransport(channel=channel))
    return {
        path: (_name(serialize.__self__.pb().DESCRIPTOR), _parsed_type(parse), streams)
        for path, (serialize, parse, streams) in calls.items()
    }


@every_rpc
def test_rpc_has_the_same_path_and_types(rpc: str) -> None:
    """An RPC of the contract has their path, messages and streams; so have our stub and our server's side of it."""
    path, method, handler = f"/{SERVICE}/{rpc}", OUR_RPCS[rpc], _registered_handlers()[rpc]
    request, response, streams = _their_rpcs()[path]
    assert (_name(method.input_type), _name(method.output_type)) == (request, response)
    assert (method.client_streaming, method.server_streaming) == streams
    _, parse, stub_streams = _stub_calls(spanner_pb2_grpc.SpannerStub)[path]
    assert (_parsed_type(parse), stub_streams) == (response, streams)
    assert _parsed_type(handler.request_deserializer) == request
    assert (handler.request_streaming, handler.response_streaming) == streams


def _registered_handlers() -> Mapping[str, grpc.RpcMethodHandler[Any, Any]]:
    server = mock.create_autospec(grpc.Server, instance=True)
    spanner_pb2_grpc.add_SpannerServicer_to_server(mock.Mock(), server)
    ((generic,),) = server.add_generic_rpc_handlers.call_args.args
    (service, handlers) = server.add_registered_method_handlers.call_args.args
    assert generic.service_name() == service == SERVICE
    return dict(handlers)


@every_rpc
def test_rpc_has_the_same_http_rule(rpc: str) -> None:
    """An RPC has their HTTP verb, URI and body, and no other binding."""
    (theirs,) = THEIR_HTTP_RULES[rpc]
    body = {"body": theirs["body"]} if "body" in theirs else {}
    rule = OUR_RPCS[rpc].GetOptions().Extensions[annotations_pb2.http]
    assert MessageToDict(rule) == {theirs["method"]: theirs["uri"], **body}


@every_rpc
def test_rpc_has_the_same_signature(rpc: str) -> None:
    """The method signatures name the parameters of their client's method, in the same order."""
    method = getattr(SpannerClient, re.sub(r"(?<!^)(?=[A-Z])", "_", rpc).lower())
    common = {"self", "request", "retry", "timeout", "metadata"}
    signatures = OUR_RPCS[rpc].GetOptions().Extensions[client_pb2.method_signature]
    names = dict.fromkeys(name for signature in signatures for name in signature.split(","))
    assert list(names) == [name for name in inspect.signature(method).parameters if name not in common]


def test_commit_has_two_signatures() -> None:
    """Their client merges the two signatures of Commit: one for each way to name the transaction."""
    signatures = OUR_RPCS["Commit"].GetOptions().Extensions[client_pb2.method_signature]
    assert list(signatures) == ["session,transaction_id,mutations", "session,single_use_transaction,mutations"]


def test_service_has_the_same_host_and_scopes() -> None:
    """The service's default host and OAuth scopes are those of their client."""
    options = spanner_pb2.DESCRIPTOR.services_by_name["Spanner"].GetOptions().Extensions
    assert options[client_pb2.default_host] == SpannerClient.DEFAULT_ENDPOINT
    assert options[client_pb2.oauth_scopes].split(",") == list(SpannerGrpcTransport.AUTH_SCOPES)


def test_resources_have_the_same_patterns() -> None:
    """The two resources have their client's patterns; its names do not tell the type, singular and plural."""
    (database,) = spanner_pb2.DESCRIPTOR.GetOptions().Extensions[resource_pb2.resource_definition]
    session = OUR_MESSAGES[f"{PACKAGE}.Session"].GetOptions().Extensions[resource_pb2.resource]
    database_path = SpannerClient.database_path("{project}", "{instance}", "{database}")
    session_path = SpannerClient.session_path("{project}", "{instance}", "{database}", "{session}")
    assert (database.type, list(database.pattern)) == (DATABASE, [database_path])
    assert (session.type, list(session.pattern)) == (SESSION, [session_path])
    assert (session.singular, session.plural) == ("session", "sessions")


def test_resource_references_are_those_of_the_uris() -> None:
    """A request field refers to a database or a session where their URI has the pattern of one for it, only there."""
    references = {
        f"{name}.{field.name}": field.GetOptions().Extensions[resource_pb2.resource_reference].type
        for name, message in OUR_MESSAGES.items()
        for field in message.fields
        if field.GetOptions().HasExtension(resource_pb2.resource_reference)
    }
    expected = {}
    for rpc, (rule,) in THEIR_HTTP_RULES.items():
        ((field, of_session),) = re.findall(
            r"{(\w+)=projects/\*/instances/\*/databases/\*(/sessions/\*)?}", rule["uri"]
        )
        expected[f"{_their_rpcs()[f'/{SERVICE}/{rpc}'][0]}.{field}"] = SESSION if of_session else DATABASE
    assert references == expected


def test_package_is_renamed_everywhere() -> None:
    """No file, name or reference of the stubs is in the true package, where another's stubs may be loaded."""
    for file in OUR_FILES:
        assert (file.package, file.name.split("/")[0]) == (OUR_PACKAGE, OUR_PACKAGE)
        assert not re.search(rb"google[./]spanner", file.serialized_pb)


def test_service_path_is_restored_everywhere() -> None:
    """The gRPC file has the true service name in each place: twice per RPC, and twice where a server registers it."""
    source = Path(spanner_pb2_grpc.__file__).read_text()
    paths = re.findall(r"""["'](/?[\w.]+\.Spanner(?:/\w+)?)["']""", source)
    assert sorted(paths) == sorted([SERVICE, *(f"/{SERVICE}/{rpc}" for rpc in THEIR_HTTP_RULES)] * 2)


def test_commit_response_is_imported_publicly() -> None:
    """Users of spanner.proto find CommitResponse there too."""
    (file,) = spanner_pb2.DESCRIPTOR.public_dependencies
    assert file.name == f"{OUR_PACKAGE}/commit_response.proto"
