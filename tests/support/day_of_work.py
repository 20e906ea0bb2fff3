"""A day of work on the sessions resource, written once for whatever has the methods of google-api-python-client.

`work` makes each call once and yields what it is, by which method, and the body of the answer or of the error.
`normalised` takes out of a body what the server chose, which no two runs share.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from typing import Any

__all__ = ["STATEMENTS", "Step", "normalised", "work"]

Step = tuple[str, str, Any]
"""What was done, the method's name in the discovery document, the answer."""

STATEMENTS = (
    "CREATE TABLE Singers (SingerId INT64, Name STRING(MAX), Born DATE, Rating FLOAT64) PRIMARY KEY (SingerId)",
    "CREATE INDEX ByName ON Singers(Name)",
)

# A parameter of every type that the emulator's gateway knows, with a value whose JSON is not obvious.
PARAMETERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "bool": (True, {"code": "BOOL"}),
    "int64": ("9223372036854775807", {"code": "INT64"}),
    "float64": (1.5, {"code": "FLOAT64"}),
    "nan": ("NaN", {"code": "FLOAT64"}),
    "infinite": ("-Infinity", {"code": "FLOAT64"}),
    "float32": (0.25, {"code": "FLOAT32"}),
    "timestamp": ("2026-11-24T12:00:00.000000001Z", {"code": "TIMESTAMP"}),
    "date": ("2026-11-24", {"code": "DATE"}),
    "string": ('naïve \U0001f600 "quoted" \\ / \u2028', {"code": "STRING"}),
    "bytes": ("AP8+Pw==", {"code": "BYTES"}),
    "numeric": ("-12345678901234567890.123456789", {"code": "NUMERIC"}),
    "json": ('{"a":[1,null]}', {"code": "JSON"}),
    "nothing": (None, {"code": "INT64"}),
    "array": (["1", None, "3"], {"code": "ARRAY", "arrayElementType": {"code": "INT64"}}),
    "empty": ([], {"code": "ARRAY", "arrayElementType": {"code": "STRING"}}),
    "struct": (
        ["1", [["x"], [None]]],
        {
            "code": "STRUCT",
            "structType": {
                "fields": [
                    {"name": "number", "type": {"code": "INT64"}},
                    {
                        "name": "inner",
                        "type": {
                            "code": "ARRAY",
                            "arrayElementType": {
                                "code": "STRUCT",
                                "structType": {"fields": [{"name": "text", "type": {"code": "STRING"}}]},
                            },
                        },
                    },
                ]
            },
        },
    ),
}
# A query cannot return a STRUCT, but what is in it.
COLUMNS = ", ".join(
    "@struct.number, @struct.inner" if name == "struct" else f"@{name} AS `{name}`" for name in PARAMETERS
)
CHOSEN_BY_THE_SERVER = {
    "approximateLastUseTime", "commitTimestamp", "createTime", "id", "nextPageToken", "partitionToken",
    "precommitToken", "readTimestamp", "resumeToken",
}  # fmt: skip
READ_WRITE: dict[str, Any] = {"readWrite": {}}
ALL_ROWS = {"table": "Singers", "columns": ["SingerId", "Name", "Born", "Rating"], "keySet": {"all": True}}


def work(sessions: Any, database: str) -> Iterator[Step]:
    """Do everything that can be done in a new database that has STATEMENTS; leave no session in it.

    Args:
        sessions: the sessions resource of google-api-python-client, or what stands for it.
        database: its name.
    """
    name = yield from _begin(sessions, database)
    yield from _write(sessions, name)
    yield from _ask(sessions, name)
    yield from _read(sessions, name)
    yield from _partition(sessions, name)
    yield from _fail(sessions, name)
    yield from _end(sessions, database)


def _begin(sessions: Any, database: str) -> Generator[Step, None, str]:
    labelled = {"labels": {"team": "checkout", "env": ""}}
    created = sessions.create(database=database, body={"session": labelled}).execute()
    yield "create", "create", created
    yield "create without a body", "create", sessions.create(database=database).execute()
    batch = {"sessionCount": 3, "sessionTemplate": {"labels": {"of": "batch"}}}
    yield "batch", "batchCreate", sessions.batchCreate(database=database, body=batch).execute()
    proto_names = {"session_count": "1", "session_template": {"labels": {}, "creator_role": None}}
    answer = sessions.batchCreate(database=database, body=proto_names).execute()
    yield "batch, proto names", "batchCreate", answer
    yield "get", "get", sessions.get(name=created["name"]).execute()
    request, pages = sessions.list(database=database, pageSize=2, filter="labels.team:*"), []
    while request is not None:
        pages.append(request.execute())
        request = sessions.list_next(request, pages[-1])
    # The order is that of the sessions' names, which the server chose.
    listed = sorted((session for page in pages for session in page.pop("sessions")), key=repr_of_labels)
    yield "the whole list", "list", {"sessions": listed}
    for page in pages:
        yield "a page of the list, without its sessions", "list", page
    return str(created["name"])


def repr_of_labels(session: Any) -> str:
    """Return what sorts sessions in an order that is the same in all runs."""
    return repr(sorted(session.get("labels", {}).items()))


def _write(sessions: Any, name: str) -> Iterator[Step]:
    mutations = [
        {
            "insert": {
                "table": "Singers",
                "columns": ["SingerId", "Name", "Born", "Rating"],
                "values": [
                    ["1", "Ada", "1815-12-10", 1.5],
                    ["2", None, None, "NaN"],
                    ["3", "Cy", "2000-02-29", "Infinity"],
                ],
            }
        },
        {"insertOrUpdate": {"table": "Singers", "columns": ["SingerId", "Name"], "values": [["4", "Di"]]}},
        {
            "delete": {
                "table": "Singers",
                "keySet": {"keys": [["9"]], "ranges": [{"startClosed": ["7"], "endOpen": ["8"]}]},
            }
        },
    ]
    single_use = {"singleUseTransaction": READ_WRITE, "mutations": mutations, "returnCommitStats": True}
    yield "commit of mutations", "commit", sessions.commit(session=name, body=single_use).execute()
    began = sessions.beginTransaction(session=name, body={"options": READ_WRITE}).execute()
    yield "begin", "beginTransaction", began
    of_it = {"id": began["id"]}
    update = {
        "transaction": of_it,
        "sql": "UPDATE Singers SET Rating = @r WHERE SingerId = 4",
        "params": {"r": 4.25},
        "paramTypes": {"r": {"code": "FLOAT64"}},
        "seqno": "1",
    }
    yield "DML", "executeSql", sessions.executeSql(session=name, body=update).execute()
    nothing = {**update, "sql": "UPDATE Singers SET Rating = @r WHERE SingerId = 99", "seqno": "2"}
    yield "DML on no row", "executeSql", sessions.executeSql(session=name, body=nothing).execute()
    batch = {
        "transaction": of_it,
        "seqno": "3",
        "statements": [
            {"sql": "UPDATE Singers SET Name = 'Bo' WHERE SingerId = 2"},
            {"sql": "UPDATE Nowhere SET Name = '' WHERE TRUE"},
        ],
    }
    yield (
        "batch DML that fails half-way",
        "executeBatchDml",
        sessions.executeBatchDml(session=name, body=batch).execute(),
    )
    yield "commit", "commit", sessions.commit(session=name, body={"transactionId": began["id"]}).execute()
    second = sessions.beginTransaction(session=name, body={"options": READ_WRITE}).execute()
    yield "rollback", "rollback", sessions.rollback(session=name, body={"transactionId": second["id"]}).execute()
    group = {"mutations": [{"replace": {"table": "Singers", "columns": ["SingerId", "Name"], "values": [["5", "Ed"]]}}]}
    yield (
        "batch write, which the emulator cannot do",
        "batchWrite",
        refusal(sessions.batchWrite(session=name, body={"mutationGroups": [group]})),
    )


def _ask(sessions: Any, name: str) -> Iterator[Step]:
    every_type = {
        "sql": f"SELECT {COLUMNS}",
        "params": {key: value for key, (value, _) in PARAMETERS.items()},
        "paramTypes": {key: type_ for key, (_, type_) in PARAMETERS.items()},
    }
    yield "every type", "executeSql", sessions.executeSql(session=name, body=every_type).execute()
    streamed = sessions.executeStreamingSql(session=name, body=every_type).execute()
    yield "every type, streamed", "executeStreamingSql", streamed
    all_rows = {"sql": "SELECT * FROM Singers ORDER BY SingerId"}
    yield "rows", "executeSql", sessions.executeSql(session=name, body=all_rows).execute()
    exact = {"transaction": {"singleUse": {"readOnly": {"strong": True, "returnReadTimestamp": True}}}, **all_rows}
    yield "rows with their time", "executeSql", sessions.executeSql(session=name, body=exact).execute()
    plan = {**all_rows, "queryMode": "PLAN", "requestOptions": {"priority": "PRIORITY_LOW", "requestTag": "t"}}
    yield "a plan", "executeSql", sessions.executeSql(session=name, body=plan).execute()
    profile = {"sql": "SELECT 1 AS one", "queryMode": "PROFILE"}
    yield "a profile", "executeSql", sessions.executeSql(session=name, body=profile).execute()
    none = {"sql": "SELECT SingerId FROM Singers WHERE FALSE"}
    yield "no rows", "executeSql", sessions.executeSql(session=name, body=none).execute()
    yield "no rows, streamed", "executeStreamingSql", sessions.executeStreamingSql(session=name, body=none).execute()
    many = {"sql": "SELECT n, REPEAT('x', 1000) AS x FROM UNNEST(GENERATE_ARRAY(1, 3000)) AS n ORDER BY n"}
    yield "many parts", "executeStreamingSql", sessions.executeStreamingSql(session=name, body=many).execute()


def _read(sessions: Any, name: str) -> Iterator[Step]:
    yield "read", "read", sessions.read(session=name, body=ALL_ROWS).execute()
    keys = {**ALL_ROWS, "keySet": {"keys": [["1"], ["3"]]}, "limit": "1"}
    yield "read of keys", "read", sessions.read(session=name, body=keys).execute()
    index = {
        "table": "Singers",
        "index": "ByName",
        "columns": ["Name"],
        "keySet": {"ranges": [{"startClosed": ["A"], "endClosed": ["C"]}]},
    }
    yield "read of an index", "read", sessions.read(session=name, body=index).execute()
    yield "read, streamed", "streamingRead", sessions.streamingRead(session=name, body=ALL_ROWS).execute()


def _partition(sessions: Any, name: str) -> Iterator[Step]:
    read_only = {"readOnly": {"strong": True, "returnReadTimestamp": True}}
    began = sessions.beginTransaction(session=name, body={"options": read_only}).execute()
    yield "begin to read", "beginTransaction", began
    of_it = {"transaction": {"id": began["id"]}}
    query = {**of_it, "sql": "SELECT SingerId FROM Singers", "partitionOptions": {"maxPartitions": "2"}}
    partitions = sessions.partitionQuery(session=name, body=query).execute()
    yield "partitions of a query", "partitionQuery", partitions
    for partition in partitions["partitions"]:
        part = {**of_it, "sql": query["sql"], "partitionToken": partition["partitionToken"]}
        yield "a part of a query", "executeSql", sessions.executeSql(session=name, body=part).execute()
    partitions = sessions.partitionRead(session=name, body={**of_it, **ALL_ROWS}).execute()
    yield "partitions of a read", "partitionRead", partitions
    for partition in partitions["partitions"]:
        part = {**of_it, **ALL_ROWS, "partitionToken": partition["partitionToken"]}
        yield "a part of a read", "streamingRead", sessions.streamingRead(session=name, body=part).execute()


def _fail(sessions: Any, name: str) -> Iterator[Step]:
    wrong = {"sql": "SELEC 1"}
    yield "wrong SQL", "executeSql", refusal(sessions.executeSql(session=name, body=wrong))
    yield "wrong SQL, streamed", "executeStreamingSql", refusal(sessions.executeStreamingSql(session=name, body=wrong))
    overflow = {"sql": "SELECT 9223372036854775807 + n FROM UNNEST([0, 1]) AS n"}
    yield "overflow", "executeSql", refusal(sessions.executeSql(session=name, body=overflow))
    began = {"singleUseTransaction": READ_WRITE, "mutations": [{"update": {"table": "Nowhere"}}]}
    yield "an unknown table", "commit", refusal(sessions.commit(session=name, body=began))
    yield "no mode", "beginTransaction", refusal(sessions.beginTransaction(session=name, body={}))


def refusal(request: Any) -> Any:
    """Return what code written for google's client reads of the error that a request ends in."""
    try:
        return {"no error, but": request.execute()}
    except Exception as caught:
        # The classes differ; what they have in common is the point.
        error: Any = caught
        if not hasattr(error, "resp"):
            raise
        return {
            "status": error.resp.status,
            "reason": error.reason,
            "error_details": error.error_details,
            "error": json.loads(error.content)["error"],
        }


def _end(sessions: Any, database: str) -> Iterator[Step]:
    for session in sessions.list(database=database).execute()["sessions"]:
        yield "delete", "delete", sessions.delete(name=session["name"]).execute()
    yield "nothing left", "list", sessions.list(database=database).execute()


def normalised(body: Any, database: str) -> Any:
    """Return a body without what the server chose: names of sessions, times, identifiers, tokens, and how long it took.

    That there is such a value, and that it is text, stays.
    """
    if isinstance(body, dict):
        return {key: _normalised(key, value, database) for key, value in body.items()}
    if isinstance(body, list):
        return [normalised(item, database) for item in body]
    return body


def _normalised(key: str, value: Any, database: str) -> Any:
    if key in CHOSEN_BY_THE_SERVER:
        return f"<{key}: {type(value).__name__}>"
    if key == "queryStats":
        return dict.fromkeys(value, "<how it went>")
    if key == "name" and str(value).startswith(f"{database}/sessions/"):
        return "<session>"
    return normalised(value, database)
