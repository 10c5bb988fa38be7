"""What a verb of gatewayctl did, in sentences: to whom, what, and what one may want to do next. Pure."""

from shlex import quote

from gatewayd.core.durations import spoken
from gatewayd.core.model import Json


def stop_list(player: str, answer: Json) -> str:
    """A player was put on a label's stop list, or taken off it."""
    return f"{_stop_list(player, answer)}{_UNCHECKED if 'unchecked' in answer else ''}"


_UNCHECKED = (
    "\nThe directory did not answer, so the id is taken as it is written here: where the directory may spell it"
    " otherwise, do it again once it answers."
)


def _stop_list(player: str, answer: Json) -> str:
    label = answer["label"]
    if "suppressed" in answer:
        hyphen = "-- " if player.startswith("-") else ""
        channels = answer["suppressed"]
        undo = f"To undo it: gatewayctl unsuppress {_only(channels)}{hyphen}{label} {quote(player)}"
        return f"Player {player} is on the stop list of {label}: {_named(channels)}. {undo}{_unused(answer)}"
    if not answer["unsuppressed"]:
        return f"Player {player} was not on the stop list of {label}."
    return f"Player {player} is off the stop list of {label}: {_named(answer['unsuppressed'])}."


def switched(answer: Json) -> str:
    """A label's messages wait, or go on."""
    label = answer["label"]
    if "paused" in answer:
        channels = answer["paused"]
        return (
            f"Label {label} is paused: {_named(channels)}. Requests are still accepted, and wait until"
            f" gatewayctl resume {_only(channels)}{label}, or their deadline.{_unused(answer)}"
        )
    return f"Label {label} goes on: {_named(answer['resumed'])}."


def guard_lifted(answer: Json) -> str:
    """More than intake_rate is let in for a time, or no more than that."""
    seconds = answer["lifted_for_seconds"]
    if not seconds:
        return f"The guard of label {answer['label']} stands again: no more than its intake_rate is let in."
    return f"The guard of label {answer['label']} is lifted for {spoken(seconds)}: more than its intake_rate is let in."


def dead_letter(answer: Json) -> str:
    """A message's dead letters were queued again, or forgotten."""
    done = "are queued for Smartico again" if answer["done"] == "retried" else "are dropped: Smartico never hears them"
    return f"The dead letters of {answer['ext_message_id']} {done}."


def dead_letters_retried(answer: Json) -> str:
    """Those of many messages were queued again."""
    retried, gone = answer["messages_retried"], answer["gone_meanwhile"]
    if not (retried or gone):
        return "There were no dead letters to retry."
    others = f" Of {gone} others somebody else took care meanwhile." if gone else ""
    return f"The dead letters of {retried} messages are queued for Smartico again.{others}"


def replayed(answer: Json) -> str:
    """Statuses of a range of time were queued again."""
    count = answer["statuses_queued"]
    return f"{count} statuses are queued for Smartico again." if count else "Smartico heard no status in that time."


def erased(player: str, answer: Json) -> str:
    """What an erasure removed."""
    label, stops = answer["label"], answer["stops"]
    listed = f" The id is gone from {stops} stops, which hold by a keyed hash." if stops else ""
    file = " Redis writes its append-only file anew, which held them; where it can't, the log says so."
    if not answer["removed"]:
        question = "" if stops else " Is that the id that Smartico sends?"
        return f"No message of player {player} is kept under label {label}.{question}{listed}{file if stops else ''}"
    waiting = answer["waiting"]
    failed = f", of which {waiting} still waited (Smartico is told that they failed)" if waiting else ""
    return f"Removed {answer['removed']} messages of player {player} under label {label}{failed}.{listed}{file}"


def stops_written(file: str, answer: Json) -> str:
    """A stop list was written to a file."""
    unknown = answer["without_player_id"]
    hashed = f" (of {unknown} only a keyed hash is known, not the player's id)" if unknown else ""
    return f"{answer['exported']} stops of label {answer['label']} are written to {file}{hashed}."


def stops_brought(file: str, answer: Json) -> str:
    """A file's stops were put on a list; not those whose `until` is past."""
    ended = f"; {answer['ended']} others had ended, and were left out" if answer["ended"] else ""
    spelt = answer.get("spelt_otherwise")
    otherwise = f" {spelt} of them by another id, as the directory spells it." if spelt else ""
    return f"{answer['imported']} stops of {file} are on the stop list of label {answer['label']}{ended}.{otherwise}"


def _unused(answer: Json) -> str:
    """That it was about a channel by which nothing of the label goes out: what was meant may go on by another."""
    label = answer["label"]
    for channel in answer.get("without_way_out", ()):
        if channel == "im":
            return f"\nBut {label} has no im_via: what comes to /{label}/im is its SMS, and goes on. Say --channel sms."
        return f"\nBut {label} has no way out for {channel} in the configuration."
    return ""


def _only(channels: list[str]) -> str:
    """The option that undoes what was done to one channel, and no more: others may be stopped by somebody else."""
    return f"--channel {channels[0]} " if len(channels) == 1 else ""


def _named(channels: list[str]) -> str:
    return ", ".join(channels)
