"""What the parts of the sandbox do, told as it happens; and each mail as a file. Of many messages only the sums."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from gatewayd.sandbox.relay import RelayStep, Taken
from gatewayd.sandbox.smartico import GatewayAnswer, Heard
from gatewayd.sandbox.smsc import SmscStep
from gatewayd.sandbox.story import Story

KEPT_MAILS = 1000
"""Mails that are kept as files."""

_DULL = frozenset({"enquire_link", "connected"})


class Steps:
    """Told to `story`, but where there are `many` messages. Mails go into the directory `mails`."""

    def __init__(self, story: Story, mails: Path, *, many: bool) -> None:
        self._story = story
        self._mails = mails
        self._many = many
        self._kept = 0
        self._statuses: Counter[str] = Counter()

    def vendor(self, who: str, what: str) -> None:
        """The vendor, or the inbox, took or reported a message."""
        if not self._many:
            self._story.tell(who, what)

    def posted(self, label: str, kind: str, user: str, said: GatewayAnswer) -> None:
        """Smartico posted a message, and was answered."""
        if not self._many:
            self._story.tell("smartico", f"POST /{label}/{kind} for user {user}: {said.body.decode()}")

    def relay(self, step: RelayStep, taken: Sequence[Taken]) -> None:
        """The relay answered a command, or took the last mail of `taken`."""
        if step.step == "taken" and taken:
            self._keep(taken[-1])
        if self._many:
            return
        if step.step == "dot":
            self._story.tell("relay", f"took the mail: {step.answer}")
        elif step.step in ("MAIL", "RCPT"):
            self._story.tell("relay", f"{step.step} {step.argument}")

    def _keep(self, mail: Taken) -> None:
        """As the relay took it, for a look at it with a mail program."""
        if self._kept < KEPT_MAILS:
            self._kept += 1
            path = self._mails / f"{mail.queue_id}.eml"
            path.write_bytes(mail.content)
            if not self._many:
                self._story.tell("relay", f"keeps it as {path}")

    def smsc(self, step: SmscStep) -> None:
        """Something happened at the SMSC."""
        if not self._many and step.what not in _DULL:
            self._story.tell("smsc", f"{step.what} {step.detail}".rstrip())

    def heard(self, heard: Heard) -> None:
        """Smartico heard a status."""
        if not self._many:
            self._story.tell("smartico", f"hears {heard.status} of the {heard.type} {heard.ext_message_id}")
            return
        self._statuses[heard.status] += 1
        if self._statuses.total() % 1000 == 0:
            sums = sorted(self._statuses.items())
            self._story.tell("smartico", ", ".join(f"{count} {status}" for status, count in sums))
