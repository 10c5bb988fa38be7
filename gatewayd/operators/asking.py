"""gatewayctl's verbs that ask the daemon: what each sends to the admin listener, and how its answer is shown.

Whatever goes through all that is kept goes in steps, so that no answer of the daemon takes long. Raises NoDaemon and
Unhappy, as the client does.
"""

import json
import zlib
from argparse import Namespace
from collections.abc import Callable, Iterator
from datetime import datetime
from operator import itemgetter
from pathlib import Path

from gatewayd.core.model import Json
from gatewayd.operators import outcomes, show
from gatewayd.operators.adminclient import AdminClient, NoDaemon, Stranger, Unhappy, open_client
from gatewayd.operators.orders import MOST_DEAD_LETTERS


def tell(options: Namespace, value: Json, shown: Callable[[Json], None]) -> int:
    """`value` as JSON where a program reads it, else as `shown` puts it; 0, the exit status of what is done."""
    if options.json:
        show.as_json(value)
    else:
        shown(value)
    return 0


def tell_outcome(options: Namespace, value: Json, sentence: str) -> int:
    """The same of what one sentence tells."""
    return tell(options, value, lambda _: show.line(sentence))


def status(options: Namespace) -> int:
    """Queues, ways out, rates."""
    return tell(options, _client(options).get("/verbs/status"), show.status)


def what_it_lacks(options: Namespace) -> list[str]:
    """Why the running daemon is not ready, and what does not work for somebody; nothing where nobody answers."""
    try:
        said = _client(options).get("/verbs/status")
    except Stranger as stranger:
        return [str(stranger)]
    except (NoDaemon, Unhappy):
        return []
    return [*said["reasons"], *(one["text"] for one in said["degraded"])]


def trace(options: Namespace) -> int:
    """One message's timeline; with `--record` what the store keeps of it, as JSON for people, too."""
    if options.record:
        show.as_json(_client(options).record(options.id))
        return 0
    return tell(options, _client(options).trace(options.id), show.trace)


def suppress(options: Namespace) -> int:
    """A player on the stop list, or off it: `options.name` says which."""
    order = {"label": options.label, "ext_user_id": options.ext_user_id, "channel": options.channel}
    answer = _client(options).post(f"/verbs/{options.name}", order)
    return tell_outcome(options, answer, outcomes.stop_list(options.ext_user_id, answer))


def switch(options: Namespace) -> int:
    """Pause or resume: `options.name` says which."""
    order = {"label": options.label, "channel": options.channel}
    answer = _client(options).post(f"/verbs/{options.name}", order)
    return tell_outcome(options, answer, outcomes.switched(answer))


def erase(options: Namespace) -> int:
    """All that is stored of one player goes."""
    total = {"seen": 0, "removed": 0, "waiting": 0, "stops": 0}
    with show.Progress("Looking at kept messages", None, quiet=options.json) as progress:
        for step in _of_each_spelling(options, "/verbs/erase"):
            for name in total:
                total[name] += step.get(name, 0)
            progress.step(step["seen"])
    answer: Json = {"label": options.label, **total}
    return tell_outcome(options, answer, outcomes.erased(options.ext_user_id, answer))


def export(options: Namespace) -> int:
    """All that is stored of one player. JSON for people, too: it is made to be handed on."""
    stop_list = None
    keyed_hash = ""
    # By id: a look at all keys may see one twice. A player who tests a way out may have hundreds of thousands: each is
    # kept as short as it can be, behind the moment by which they stand in order.
    messages: dict[str, tuple[str, bytes]] = {}
    with show.Progress("Looking at kept messages", None, quiet=options.json) as progress:
        for step in _of_each_spelling(options, "/verbs/export"):
            stop_list = step.get("stop_list", stop_list)
            keyed_hash = keyed_hash or step.get("keyed_hash", "")
            for one in step["messages"]:
                messages[one["ext_message_id"]] = str(one["accepted_at"]), zlib.compress(json.dumps(one).encode(), 1)
            progress.step(step["seen"])
    found = (json.loads(zlib.decompress(packed)) for _, packed in sorted(messages.values(), key=itemgetter(0)))
    show.as_json_list({**_whose(options), "keyed_hash": keyed_hash, "stop_list": stop_list}, "messages", found)
    return 0


def replay(options: Namespace) -> int:
    """Statuses of a range of time are told again."""
    order: Json = {"label": options.label, "since": options.since, "until": options.until}
    queued = 0
    with show.Progress("Statuses queued again", None, quiet=options.json) as progress:
        for step in steps(_client(options), "/verbs/replay", order):
            queued += step["queued"]
            progress.step(step["queued"])
    answer: Json = {"statuses_queued": queued}
    return tell_outcome(options, answer, outcomes.replayed(answer))


def guard(options: Namespace) -> int:
    """Let more than intake_rate in for a time."""
    answer = _client(options).post("/verbs/guard", {"label": options.label, "seconds": options.lift})
    return tell_outcome(options, answer, outcomes.guard_lifted(answer))


def dead_letters(options: Namespace) -> int:
    """Statuses that Smartico did not take: shown, told again, or dropped."""
    client = _client(options)
    if options.action in ("retry", "drop"):
        answer = client.post(f"/verbs/dead-letters/{options.action}", {"id": options.id})
        return tell_outcome(options, answer, outcomes.dead_letter(answer))
    if options.action == "retry-all":
        return _retry_all(options, client)
    return tell(options, client.get(f"/verbs/dead-letters?limit={options.limit}"), show.dead_letters)


def _retry_all(options: Namespace, client: AdminClient) -> int:
    retried = gone = 0
    tried: set[str] = set()
    with show.Progress("Queueing again", None, quiet=options.json) as progress:
        while batch := [one for one in _dead_of(options, client) if one not in tried]:
            progress.total(len(tried) + len(batch))
            for message_id in batch:
                tried.add(message_id)
                try:
                    client.post("/verbs/dead-letters/retry", {"id": message_id})
                    retried += 1
                except Unhappy as error:
                    if error.status != 404:
                        raise
                    # Another operator, or the message's end, was faster.
                    gone += 1
                progress.step(1)
    answer: Json = {"messages_retried": retried, "gone_meanwhile": gone}
    return tell_outcome(options, answer, outcomes.dead_letters_retried(answer))


def _dead_of(options: Namespace, client: AdminClient) -> Iterator[str]:
    """The messages that have dead letters in the range of time asked for, each once."""
    seen: set[str] = set()
    until = "" if options.until is None else f"&until={options.until!r}"
    for letter in client.get(f"/verbs/dead-letters?limit={MOST_DEAD_LETTERS}{until}")["dead_letters"]:
        at = datetime.fromisoformat(letter["given_up_at"]).timestamp()
        early = options.since is not None and at < options.since
        if not early and letter["ext_message_id"] not in seen:
            seen.add(letter["ext_message_id"])
            yield letter["ext_message_id"]


def _client(options: Namespace) -> AdminClient:
    return open_client(Path(options.config), options.instance, options.operator)


def _whose(options: Namespace) -> Json:
    return {"label": options.label, "ext_user_id": options.ext_user_id}


def _of_each_spelling(options: Namespace, path: str) -> Iterator[Json]:
    """The steps for the id that was given, then for what else the directory calls the player."""
    client = _client(options)
    users = [options.ext_user_id]
    for user in users:
        for step in steps(client, path, {"label": options.label, "ext_user_id": user}):
            users += [other for other in step.get("also", ()) if other not in users]
            yield step


def steps(client: AdminClient, path: str, order: Json) -> Iterator[Json]:
    """The answers to one order after the other, each going on where the last one ended."""
    cursor = "0"
    while True:
        step = client.post(path, {**order, "cursor": cursor})
        yield step
        cursor = step["cursor"]
        if cursor == "0":
            return
