"""The keywords that the methods of google-api-python-client take: which there are, and what is sent for a value."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from spanner_grpc_sessions.errors import InvalidType, InvalidValue
from spanner_grpc_sessions.errors.checks import short

if TYPE_CHECKING:
    from typing import Literal, TypedDict

    class Keywords(TypedDict, total=False):
        """What every method takes."""

        alt: Literal["json", "media", "proto"] | None
        pp: Any
        prettyPrint: bool | None
        quotaUser: Any
        strict: Any
        trace: Any
        uploadType: Any
        upload_protocol: Any
        userip: Any
        x__xgafv: Literal["1", "2"] | None

    class ListKeywords(Keywords, total=False):
        """What `list` takes."""

        pageSize: int | None
        pageToken: str | None
        filter: str | None


# A type of keywords: its name in an error, and what converts a value to the one that is sent.
Kind = tuple[str, Callable[[Any], Any]]


def _one_of(*allowed: str) -> Kind:
    return " or ".join(map(repr, allowed)), {text: text for text in allowed}.__getitem__


# A text that can be encoded can be sent, and a body that came out of JSON is a copy that the caller cannot change.
STRING: Final[Kind] = ("text", lambda value: str(value).encode().decode())
_INTEGER: Final[Kind] = ("an integer", lambda value: str(int(value)))
_BOOLEAN: Final[Kind] = ("true or false", lambda value: str(bool(value)).lower())
BODY: Final[Kind] = ("what JSON can hold", lambda value: json.loads(json.dumps(value)))
# The keywords of `list`, which are fields of its request.
OF_LIST: Final[dict[str, Kind]] = {"pageSize": _INTEGER, "pageToken": STRING, "filter": STRING}
# Keywords that every method takes and that change nothing: the client asks for JSON whatever `alt` says, and without an
# API key Google ignores `quotaUser` (https://cloud.google.com/apis/docs/system-parameters).
COMMON: Final[dict[str, Kind]] = {
    "alt": _one_of("json", "media", "proto"),
    "prettyPrint": _BOOLEAN,
    "x__xgafv": _one_of("1", "2"),
    **dict.fromkeys(("pp", "quotaUser", "strict", "trace", "uploadType", "upload_protocol", "userip"), STRING),
}
# Keywords of Google's client that no method takes, and why: to ignore them would change the meaning of a call.
REFUSED: Final[dict[str, str]] = {
    "callback": "there is no script to wrap the answer in",
    "fields": "the answer is always whole",
    **dict.fromkeys(("access_token", "key", "oauth_token"), "the client's credentials authorize its calls"),
}


def converted(keyword: str, value: Any, kind: Kind) -> Any:
    """Return what is sent for the value of a keyword; raise `InvalidType` or `InvalidValue` if it cannot be."""
    expected, convert = kind
    try:
        return convert(value)
    except Exception as error:
        # A foreign value may raise anything when it is read, not only what `convert` raises.
        error_class = InvalidType if isinstance(error, TypeError | LookupError) else InvalidValue
        raise error_class(f"{keyword}: expected {expected}, got {short(value)}") from error
