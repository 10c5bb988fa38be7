"""What a person may do on the dashboard's pages, and the words in which they are asked first. Pure."""

from msgspec import Struct


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
