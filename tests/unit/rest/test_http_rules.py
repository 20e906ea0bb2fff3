"""The HTTP rules read from the descriptors, against the discovery document that Google publishes for REST."""

from __future__ import annotations

import pytest
from google.api import annotations_pb2
from google.protobuf import descriptor_pb2, descriptor_pool

from spanner_grpc_sessions.rest.routes import http_rule, rule_of
from spanner_grpc_sessions.service.rpcs import RPCS

DATABASE = "projects/p/instances/i/databases/d"
SESSION = f"{DATABASE}/sessions/s"


def test_the_rules_are_those_of_the_discovery_document() -> None:
    """HTTP method, path, path variable and its form are the published ones, for all methods that are published."""
    pytest.importorskip("googleapiclient", reason="google-api-python-client brings the discovery document")
    from tests.support.discovery_document import session_methods

    published = {
        (
            method["httpMethod"],
            f"/{method['path']}",
            next(iter(method["parameterOrder"])),
            method["parameters"][method["parameterOrder"][0]]["pattern"],
            "request" in method,
        )
        for method in session_methods().values()
    }
    ours = {
        (
            rule.http_method,
            rule.path_of(f"{{+{rule.variable}}}"),
            rule.variable,
            f"^{rule.pattern.replace('*', '[^/]+')}$",
            rule.whole_body,
        )
        for rule in map(http_rule, RPCS.values())
    }
    assert ours - published == {
        ("POST", "/v1/{+database}:cacheUpdate", "database", "^projects/[^/]+/instances/[^/]+/databases/[^/]+$", True)
    }
    assert published <= ours


@pytest.mark.parametrize(
    ("rpc", "path", "variable"),
    [
        ("CreateSession", f"/v1/{DATABASE}/sessions", DATABASE),
        ("ExecuteSql", f"/v1/{SESSION}:executeSql", SESSION),
        ("ExecuteSql", f"/v1/{SESSION}:a:executeSql", f"{SESSION}:a"),
        ("ExecuteSql", f"/v1/{SESSION}:executesql", None),
        ("ExecuteSql", f"/v1/{SESSION}/:executeSql", None),
        ("GetSession", f"/v1/{SESSION}", SESSION),
        ("GetSession", f"/v1/{SESSION}/", None),
        ("GetSession", f"/v1/{SESSION}\n", f"{SESSION}\n"),
        ("GetSession", f"/v1/{DATABASE}/sessions/", None),
        ("GetSession", f"//v1/{SESSION}", None),
        ("GetSession", f"/v1beta/{SESSION}", None),
    ],
)
def test_a_path_matches_as_a_whole(rpc: str, path: str, variable: str | None) -> None:
    """Each star is one segment that is not empty; what lies around the variable is literal."""
    match = http_rule(RPCS[rpc]).path.fullmatch(path)
    assert (match and match["variable"]) == variable


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"get": "/v1/shelves"},
        {"get": "/v1/{name}"},
        {"get": "/v1/{name=a/*}/{other=b/*}"},
        {"post": "/v1/{name=a/*}", "body": "book"},
        {"get": "/v1/{name=a/*}", "additional_bindings": [{"get": "/v2/{name=a/*}"}]},
        {"custom": {"kind": "HEAD", "path": "/v1/{name=a/*}"}},
    ],
)
def test_what_is_not_understood_is_not_guessed(rule: dict[str, object]) -> None:
    """A rule that uses more of the grammar than Spanner does is refused, where the service is loaded."""
    file = descriptor_pb2.FileDescriptorProto(name="books.proto", package="books", syntax="proto3")
    file.message_type.add(name="Book").field.add(
        name="name",
        number=1,
        type="TYPE_STRING",
        label="LABEL_OPTIONAL",
    )
    method = file.service.add(name="Books").method.add(name="Get", input_type=".books.Book", output_type=".books.Book")
    if rule:
        http = annotations_pb2.http
        method.options.Extensions[http].CopyFrom(type(method.options.Extensions[http])(**rule))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    with pytest.raises(NotImplementedError, match=r"books\.Books\.Get"):
        rule_of(pool.FindServiceByName("books.Books").methods_by_name["Get"])
