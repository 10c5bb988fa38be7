"""From a request to an endpoint of a Klein app, and from what it gives to an answer.

Owns the look-up of routes, and what becomes of an endpoint's failure. Must not know what is asked for.
"""

# mypy: disallow-untyped-calls=False

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import unquote_to_bytes

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.routing import RequestRedirect

from gatewayd.http.door import Answer
from gatewayd.http.request import Request

log = Logger()

Route = tuple[str, Mapping[str, Any]]


class Routes:
    """A Klein app's endpoints, looked up in a table before Klein's rules are asked.

    `find(method, path)` gives the endpoint's name and arguments, or None for the rules to decide; by default it knows
    every rule without arguments. Endpoints return text, bytes or an Answer, now or later. Nothing cancels an endpoint
    whose caller hangs up: it ends what it began, and the answer is dropped.
    """

    def __init__(self, app: Klein, find: Callable[[bytes, bytes], Route | None] | None = None) -> None:
        self._app = app
        self._find = find or static_routes(app)

    def answer(self, request: Request) -> Answer | Deferred[Answer]:
        """What is answered, now or later; a failure is one of the app's own answers, or logged and 500."""
        try:
            endpoint, arguments = self._find(request.method, request.path) or self._match(request)
            # Klein calls the endpoint with whatever it is given as a request.
            result: Any = self._app.execute_endpoint(endpoint, cast(Any, request), **arguments)
            if not isinstance(result, Deferred):
                return _as_answer(result)
        except Exception:
            return self._failed(Failure(), request)
        return result.addCallback(_as_answer).addErrback(self._failed, request)

    def _match(self, request: Request) -> Route:
        """By Klein's rules. Raises HTTPException; a path that the rules would redirect (slashes) does not exist."""
        path = unquote_to_bytes(request.path).decode("utf-8", "replace")
        rules = self._app.url_map.bind("localhost", path_info=path, default_method=request.method.decode("latin-1"))
        try:
            endpoint, arguments = rules.match()
        except RequestRedirect:
            raise NotFound from None
        return endpoint, arguments

    def _failed(self, failure: Failure, request: Request) -> Answer:
        try:
            for kinds, react in self._app._error_handlers:
                if failure.check(*kinds):
                    return _as_answer(self._app.execute_error_handler(react, cast(Any, request), failure))
        except Exception:
            failure = Failure()
        if failure.check(HTTPException):
            status = cast(HTTPException, failure.value).code or 500
        else:
            status = 500
            log.failure("a bug: a {method} request was answered 500", failure, method=request.method.decode("latin-1"))
        return Answer(HTTPStatus(status).phrase.lower().encode() + b"\n", status, b"text/plain; charset=utf-8")


def _as_answer(result: object) -> Answer:
    if isinstance(result, Answer):
        return result
    if isinstance(result, str | bytes):
        return Answer(result.encode() if isinstance(result, str) else result, content_type=b"text/html")
    raise TypeError(f"an endpoint gave {type(result).__name__}")


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
