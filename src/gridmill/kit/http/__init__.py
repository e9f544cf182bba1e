"""What an endpoint needs of HTTP, so that rooms never import the API above them.

An endpoint looks like this::

    router = make_router()


    @router.post(
        "/things/{thing_id}/parts",
        **operation(
            "createPart",
            "Things",
            scope="write",
            body=PartCreate,
            reply=PartReply,
            status=201,
            errors=(ThingNotFound,),
        ),
    )
    async def create_part(call: CallDep, thing_id: str) -> Response:
        tx = await call.tx()
        principal = principal_of(call)
        thing = await service.get_thing(tx, principal, thing_id)  # 404 before the body is read
        body = await call.body(PartCreate)
        part = await service.create_part(tx, thing, body.name)
        return reply(to_wire(part), 201)

Whatever it raises rolls the transaction back; otherwise it is committed before the reply is sent.
"""

from gridmill.kit.http.body import BODY_LIMIT, read_body
from gridmill.kit.http.call import (
    Call,
    CallDep,
    Caller,
    Services,
    Transactions,
    require,
)
from gridmill.kit.http.downloads import Download, send_download
from gridmill.kit.http.etags import check_match, has_precondition, make_etag, tagged_reply
from gridmill.kit.http.operation import Operation, RouteOptions, operation
from gridmill.kit.http.query import PAGE_LIMIT, ListQuery, PaginationReply, parse_query
from gridmill.kit.http.replies import error_reply, no_content, reply, to_json
from gridmill.kit.http.routing import CallRoute, make_router
from gridmill.kit.http.wire import EmptyBody, NamedIds, WireModel, validate_json

__all__ = [
    "BODY_LIMIT",
    "PAGE_LIMIT",
    "Call",
    "CallDep",
    "CallRoute",
    "Caller",
    "Download",
    "EmptyBody",
    "ListQuery",
    "NamedIds",
    "Operation",
    "PaginationReply",
    "RouteOptions",
    "Services",
    "Transactions",
    "WireModel",
    "check_match",
    "error_reply",
    "has_precondition",
    "make_etag",
    "make_router",
    "no_content",
    "operation",
    "parse_query",
    "read_body",
    "reply",
    "require",
    "send_download",
    "tagged_reply",
    "to_json",
    "validate_json",
]
