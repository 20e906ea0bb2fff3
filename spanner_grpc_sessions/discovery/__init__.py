"""The interface of google-api-python-client on our clients: REST code changes only the line that builds its service.

    service = discovery.build(client)  # was: googleapiclient.discovery.build("spanner", "v1")
    sessions = service.projects().instances().databases().sessions()
    session = sessions.create(database="projects/my-app/instances/prod/databases/orders", body={}).execute()

It covers the sessions resource. On an `AsyncSessionsClient`, `execute()` is awaited. It never imports Google's client.
"""

from spanner_grpc_sessions.discovery.http_error import HttpError
from spanner_grpc_sessions.discovery.service import (
    AsyncRequest,
    AsyncSessions,
    Databases,
    Instances,
    Projects,
    Request,
    Service,
    Sessions,
    build,
)

__all__ = [
    "AsyncRequest",
    "AsyncSessions",
    "Databases",
    "HttpError",
    "Instances",
    "Projects",
    "Request",
    "Service",
    "Sessions",
    "build",
]
