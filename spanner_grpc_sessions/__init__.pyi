# The public names, for type checkers.

from spanner_grpc_sessions.client import SessionsClient as SessionsClient
from spanner_grpc_sessions.client_async import AsyncSessionsClient as AsyncSessionsClient
from spanner_grpc_sessions.errors import (
    ClientClosed as ClientClosed,
    CredentialsError as CredentialsError,
    InvalidName as InvalidName,
    InvalidType as InvalidType,
    InvalidValue as InvalidValue,
    PoolClosed as PoolClosed,
    PoolError as PoolError,
    PoolOverloaded as PoolOverloaded,
    PoolTimeout as PoolTimeout,
    SpannerSessionsError as SpannerSessionsError,
)
from spanner_grpc_sessions.errors.rpc import (
    Aborted as Aborted,
    AlreadyExists as AlreadyExists,
    Cancelled as Cancelled,
    DatabaseNotFound as DatabaseNotFound,
    DataLoss as DataLoss,
    DeadlineExceeded as DeadlineExceeded,
    FailedPrecondition as FailedPrecondition,
    Internal as Internal,
    InvalidArgument as InvalidArgument,
    InvalidRequest as InvalidRequest,
    NotFound as NotFound,
    OutOfRange as OutOfRange,
    PermissionDenied as PermissionDenied,
    ResourceExhausted as ResourceExhausted,
    RpcError as RpcError,
    SessionNotFound as SessionNotFound,
    Unauthenticated as Unauthenticated,
    Unavailable as Unavailable,
    Unimplemented as Unimplemented,
    Unknown as Unknown,
    UnknownPath as UnknownPath,
)
from spanner_grpc_sessions.multiplexed.rotation import MultiplexedOptions as MultiplexedOptions
from spanner_grpc_sessions.multiplexed.session import MultiplexedSession as MultiplexedSession
from spanner_grpc_sessions.multiplexed.session_async import AsyncMultiplexedSession as AsyncMultiplexedSession
from spanner_grpc_sessions.options import (
    DEFAULT as DEFAULT,
    ClientOptions as ClientOptions,
    RetryOptions as RetryOptions,
)
from spanner_grpc_sessions.pool.lease import AsyncLease as AsyncLease, Lease as Lease
from spanner_grpc_sessions.pool.options import PoolOptions as PoolOptions
from spanner_grpc_sessions.pool.pool import SessionPool as SessionPool
from spanner_grpc_sessions.pool.pool_async import AsyncSessionPool as AsyncSessionPool
from spanner_grpc_sessions.pool.stats import PoolStats as PoolStats
from spanner_grpc_sessions.service.types import (
    BatchCreateSessionsRequest as BatchCreateSessionsRequest,
    CreateSessionRequest as CreateSessionRequest,
    ListSessionsBody as ListSessionsBody,
    Session as Session,
    SessionsBody as SessionsBody,
    SessionTemplate as SessionTemplate,
)

__version__: str
