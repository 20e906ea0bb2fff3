"""Trailers of failed calls: each kind of detail, and what a server may send by mistake."""

from __future__ import annotations

from typing import Any, Final

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2 as rpc
from hypothesis import strategies as st

from spanner_grpc_sessions.errors.rpc import SESSION_RESOURCE
from tests.unit.failures import any_of, status_trailer

__all__ = ["DETAILS", "trailer_of", "trailers_of_all_kinds"]

DETAILS: Final[list[tuple[Message, dict[str, Any]]]] = [
    (
        rpc.ErrorInfo(reason="NO_TOKEN", domain="googleapis.com", metadata={"service": "spanner.googleapis.com"}),
        {"reason": "NO_TOKEN", "domain": "googleapis.com", "metadata": {"service": "spanner.googleapis.com"}},
    ),
    (rpc.RetryInfo(retry_delay=Duration(seconds=1, nanos=500_000_000)), {"retryDelay": "1.500s"}),
    (rpc.DebugInfo(stack_entries=["a", "b"], detail="d"), {"stackEntries": ["a", "b"], "detail": "d"}),
    (
        rpc.QuotaFailure(violations=[rpc.QuotaFailure.Violation(subject="project:p", description="too many")]),
        {"violations": [{"subject": "project:p", "description": "too many"}]},
    ),
    (
        rpc.PreconditionFailure(violations=[rpc.PreconditionFailure.Violation(type="TOS", subject="s")]),
        {"violations": [{"type": "TOS", "subject": "s"}]},
    ),
    (
        rpc.BadRequest(field_violations=[rpc.BadRequest.FieldViolation(field="session.labels", description="bad")]),
        {"fieldViolations": [{"field": "session.labels", "description": "bad"}]},
    ),
    (rpc.RequestInfo(request_id="r", serving_data="s"), {"requestId": "r", "servingData": "s"}),
    (
        rpc.ResourceInfo(resource_type=SESSION_RESOURCE, resource_name="projects/p", description="gone"),
        {"resourceType": SESSION_RESOURCE, "resourceName": "projects/p", "description": "gone"},
    ),
    (
        rpc.Help(links=[rpc.Help.Link(description="how", url="https://example.com")]),
        {"links": [{"description": "how", "url": "https://example.com"}]},
    ),
    (rpc.LocalizedMessage(locale="de-CH", message="nein"), {"locale": "de-CH", "message": "nein"}),
]
"""Each type of google.rpc.error_details with its REST form."""


def trailer_of(detail: Message) -> tuple[str, bytes]:
    """Return the trailer that carries one detail alone."""
    return f"google.rpc.{type(detail).__name__.lower()}-bin", detail.SerializeToString()


_KEYS = ["grpc-status-details-bin", "x", *(trailer_of(detail)[0] for detail, _ in DETAILS)]
_damaged = st.builds(
    AnyMessage,
    type_url=st.one_of(st.sampled_from([any_of(detail).type_url for detail, _ in DETAILS]), st.text(max_size=5)),
    value=st.one_of(st.binary(max_size=20), st.sampled_from([detail.SerializeToString() for detail, _ in DETAILS])),
)
trailers_of_all_kinds = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(_KEYS), st.one_of(st.binary(), st.text())),
        st.builds(lambda details: status_trailer(*details), st.lists(_damaged, max_size=3)),
    ),
    max_size=4,
)
"""A strategy for the trailers of a failed call."""
