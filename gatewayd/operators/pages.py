"""What the admin listener answers to browsers: the dashboard, a message's timeline, dead letters, confirmations, files.

Owns what a form may do, and how it is known as ours. How a page looks is for operators/dashboard.py.
"""

from collections.abc import Callable, Iterable, Mapping
from hmac import compare_digest
from urllib.parse import quote

from msgspec import Struct
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.iweb import IRequest

from gatewayd.core.errors import StoreUnavailable
from gatewayd.core.interfaces import IShownToPeople
from gatewayd.core.model import Channel, Trace
from gatewayd.http.door import Answer
from gatewayd.operators.dashboard import LISTED, SPANS, DashboardPages, Lists
from gatewayd.operators.figures import DEAD_LIMIT, Watch
from gatewayd.operators.houserules import Endpoint, asset, page, see_other
from gatewayd.operators.known_labels import KnownLabels
from gatewayd.operators.message_orders import MessageOrders
from gatewayd.operators.orders import Switch, Wrong, asked, asked_by, form
from gatewayd.operators.recent import RecentTroubles

log = Logger()
_DEAD_VERBS = ("retry", "drop")


class Action(Struct, frozen=True):
    """A verb with a confirmation page; `fields` are what it needs to know, and what `question` may name."""

    question: str
    consequence: str
    button: str
    fields: tuple[str, ...] = ()


PAGES = frozenset({b"/", b"/trace", b"/dead-letters", b"/confirm", b"/do"})
"""The paths that answer people; all others answer programs."""

ACTIONS: dict[str, Action] = {
    "pause": Action(
        "Pause {channel} of {label}?",
        "Requests are still accepted. Their messages wait until you resume, or end as failed at their deadline.",
        "Pause",
        ("label", "channel"),
    ),
    "resume": Action(
        "Resume {channel} of {label}?",
        "Everything that waited is sent from now on, as fast as the rates allow.",
        "Resume",
        ("label", "channel"),
    ),
    "retry": Action(
        "Tell Smartico the dead statuses of {id} again?",
        "They are queued as if they were new, and tried for another 48 hours.",
        "Retry",
        ("id",),
    ),
    "try-now": Action(
        "Try {id} now?",
        "It does not wait for its next try any longer. What is held as uncertain stays held: no second copy goes out.",
        "Try now",
        ("id",),
    ),
    "drop": Action(
        "Forget the dead statuses of {id}?",
        "Smartico will never hear of them. The message and its timeline stay.",
        "Drop",
        ("id",),
    ),
    "retry-all": Action(
        "Tell Smartico all dead statuses again?",
        "They are queued as if they were new. With a slow callback host this makes live statuses wait a little longer.",
        "Retry all",
    ),
}


class BrowserPages:
    """Their endpoints. `token` makes a form known as ours; `with_draining` is as in Verbs."""

    def __init__(
        self,
        clock: IReactorTime,
        store: IShownToPeople,
        watch: Watch,
        labels: Callable[[], Mapping[str, float]],
        orders: MessageOrders,
        known: KnownLabels,
        recent: RecentTroubles,
        *,
        with_draining: Callable[[tuple[str, ...]], tuple[str, ...]],
        instance: str,
        version: str,
        token: str,
    ) -> None:
        self._clock = clock
        self._store = store
        self._watch = watch
        self._labels = labels
        self._orders = orders
        self._known = known
        self._recent = recent
        self._with_draining = with_draining
        self._token = token
        self._pages = DashboardPages(instance=instance, version=version, token=token)
        self.static_files = {f"/static/{name}".encode(): asset(*file) for name, file in self._pages.static.items()}

    def endpoints(self) -> Iterable[Endpoint]:
        """The paths, and what answers on each."""
        return (
            ("GET", "/", self.overview),
            ("GET", "/static/<name>", self.static),
            ("GET", "/trace", self.trace_page),
            ("GET", "/dead-letters", self.dead_letters_page),
            ("GET", "/confirm", self.confirm),
            ("POST", "/do", self.do),
        )

    def notice(self, message: str, status: int) -> Answer:
        """A page that says why something did not work."""
        return page(self._pages.notice("That did not work", message), status)

    async def overview(self, request: IRequest) -> Answer:
        """The dashboard; `span` in the query says how much of the past the plots show."""
        snapshot = await self._watch.look()
        reasons = self._with_draining(snapshot.reasons())
        # The shortest that holds all that is known, so that the first minutes of a new process fill a plot too.
        fitting = next((name for name, seconds in SPANS.items() if seconds >= self._watch.watched()), "2h")
        span = asked(request, "span", fitting)
        if span not in SPANS:
            raise Wrong(400, f"span must be one of {', '.join(SPANS)}")
        lists = await self._lists(redis=not snapshot.redis_trouble)
        return page(self._pages.overview(snapshot, self._watch.samples, self._labels(), reasons, span, lists))

    async def _lists(self, *, redis: bool) -> Lists:
        waiting: list[Trace] = []
        if redis:
            try:
                waiting = await self._store.longest_waiting(LISTED)
            except StoreUnavailable:
                # It went away since the snapshot: the next look says so.
                log.debug("the messages that wait longest could not be read")
        return Lists(tuple(waiting), tuple(self._recent.failed(LISTED)), tuple(self._recent.refused(LISTED)))

    def static(self, request: IRequest, name: str) -> Answer:
        """Style sheet, script and icon."""
        found = self.static_files.get(f"/static/{name}".encode())
        if found is None:
            raise Wrong(404, "there is no such file")
        return found

    async def trace_page(self, request: IRequest) -> Answer:
        """One message's timeline, by our id or the caller's uid."""
        name = asked(request, "id").strip()
        trace = await self._orders.trace(name)
        waiting = await self._store.waiting(trace.ext_message_id, trace.channel)
        namesakes = await self._orders.namesakes(trace, name)
        return page(self._pages.timeline(trace, waiting, self._clock.seconds(), namesakes))

    async def dead_letters_page(self, request: IRequest) -> Answer:
        """What was given up."""
        letters = await self._store.dead_letters(DEAD_LIMIT)
        return page(self._pages.dead_letters(letters, more=len(letters) == DEAD_LIMIT))

    async def confirm(self, request: IRequest) -> Answer:
        """Asks before a verb is done."""
        verb = asked(request, "verb")
        action = ACTIONS.get(verb)
        if action is None:
            raise Wrong(404, "there is no such verb")
        fields = {name: asked(request, name) for name in action.fields}
        await self._check_switch(fields)
        question = action.question.format(**fields)
        return page(self._pages.confirm(question, action.consequence, action.button, {"verb": verb, **fields}))

    async def do(self, request: IRequest) -> Answer:
        """Does what /confirm asked about, and goes back to where that shows."""
        fields = form(request)
        if not compare_digest(fields.get("token", "").encode(), self._token.encode()):
            raise Wrong(403, "this form is not one of ours, or it is from before a change of key: load the page again")
        verb, by = fields.get("verb", ""), asked_by(request)
        if verb in ("pause", "resume"):
            await self._check_switch(fields)
            await self._orders.switch(Switch(fields["label"], Channel(fields["channel"])), by, on=verb == "resume")
            return see_other(b"/")
        if verb == "try-now":
            message_id = await self._orders.try_now(fields.get("id", ""), by)
            return see_other(b"/trace?id=" + quote(message_id).encode())
        if verb == "retry-all":
            await self._orders.retry_all_dead_letters(by)
        elif verb in _DEAD_VERBS:
            await self._orders.dead_letter(verb, fields.get("id", ""), by)
        else:
            raise Wrong(404, "there is no such verb")
        return see_other(b"/dead-letters")

    async def _check_switch(self, fields: Mapping[str, str]) -> None:
        """Raises Wrong where a form names a label or channel that is not there."""
        if "label" in fields:
            await self._known.check(fields["label"])
        if fields.get("channel", "email") not in tuple(Channel):
            raise Wrong(400, "channel must be email, sms or im")
