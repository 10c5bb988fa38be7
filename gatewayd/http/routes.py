"""From a request to an endpoint of a Klein app, and from what it gives to an answer.

Owns the look-up of routes, and what becomes of an endpoint's failure. Must not know what is asked for.
"""

# mypy: disallow-untyped-calls=False

from collections.abc import Callable, Mapping
from typing import Any, cast
from urllib.parse import unquote_to_bytes

from klein import Klein
from klein.resource import KleinResource
from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import RESPONSES
from twisted.web.server import NOT_DONE_YET
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.routing import RequestRedirect

from gatewayd.http.door import Answer
from gatewayd.http.web import respond

log = Logger()

Route = tuple[str, Mapping[str, Any]]


class LeanResource(KleinResource):
    """A Klein app's resource that looks a route up in a table before it asks Klein's rules.

    `find(method, path)` gives the endpoint's name and arguments, or None for the rules to decide; by default it knows
    every rule without arguments. Endpoints return text, bytes or an Answer. Unlike Klein's own, this resource does not
    cancel an endpoint whose caller hangs up: it ends what it began, and the answer is dropped.
    """

    def __init__(self, app: Klein, find: Callable[[bytes, bytes], Route | None] | None = None) -> None:
        super().__init__(app)
        self._find = find or static_routes(app)

    def render(self, request: Any) -> Any:
        """Answer `request`, now or later."""
        try:
            endpoint, arguments = self._find(request.method, request.path) or self._match(request)
            result = self._app.execute_endpoint(endpoint, request, **arguments)
        except Exception:
            result = fail()
        if isinstance(result, Deferred):
            result.addCallback(self._answer, request).addErrback(self._failed, request).addErrback(_gone)
        else:
            self._answer(result, request)
        return NOT_DONE_YET

    def _match(self, request: Any) -> Route:
        """By Klein's rules. Raises HTTPException; a path that the rules would redirect (slashes) does not exist."""
        path = unquote_to_bytes(request.path).decode("utf-8", "replace")
        rules = self._app.url_map.bind("localhost", path_info=path, default_method=request.method.decode("latin-1"))
        try:
            endpoint, arguments = rules.match()
        except RequestRedirect:
            raise NotFound from None
        return endpoint, arguments

    def _answer(self, result: object, request: Any) -> None:
        if isinstance(result, Answer):
            respond(request, result)
        elif isinstance(result, str | bytes):
            body = result.encode() if isinstance(result, str) else result
            if not (request.finished or request._disconnected):
                request.setHeader(b"Content-Length", b"%d" % len(body))
                request.write(body)
                request.finish()
        else:
            raise TypeError(f"an endpoint gave {type(result).__name__}")

    def _failed(self, failure: Failure, request: Any) -> None:
        for kinds, react in self._app._error_handlers:
            if failure.check(*kinds):
                self._answer(self._app.execute_error_handler(react, request, failure), request)
                return
        if failure.check(HTTPException):
            status = cast(HTTPException, failure.value).code or 500
        else:
            status = 500
            log.failure("request failed", failure)
        if not request.startedWriting:
            respond(request, Answer(RESPONSES[status].lower() + b"\n", status, b"text/plain; charset=utf-8"))


def _gone(failure: Failure) -> None:
    log.failure("an answer could not be written", failure)


def static_routes(app: Klein) -> Callable[[bytes, bytes], Route | None]:
    """A look-up of the app's rules that have no arguments."""
    table: dict[tuple[bytes, bytes] | bytes, Route] = {}
    for rule in app.url_map.iter_rules():
        path = rule.rule.encode()
        route: Route = (rule.endpoint, {})
        if rule.arguments:
            continue
        if rule.methods is None:
            table[path] = route
        for method in rule.methods or ():
            table[method.encode(), path] = route
    return lambda method, path: table.get((method, path)) or table.get(path)
