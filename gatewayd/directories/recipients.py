"""Who a message is for: which directory a label asks, and what its answer means for one channel.

The one place that turns a player's id into an address, at acceptance for the caller's sake and again at delivery. What
the answer means for a caller or for a message is accept's and deliver's to say.
"""

from collections.abc import Iterator, Mapping

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from gatewayd import config
from gatewayd.core.contact import address_of, is_misread
from gatewayd.core.errors import TemporaryFailure
from gatewayd.core.in_a_row import InARow
from gatewayd.core.interfaces import IRecipients
from gatewayd.core.model import Channel, Degraded, Resolved, WhyNot, some_names
from gatewayd.directories import Directories
from gatewayd.directories.remembered import Remembered

UNKNOWN_IN_A_ROW = 20
"""So many different players of a label that its directory does not know, and none that it does: it is hardly them."""

MISREAD_IN_A_ROW = 20
"""So many different players of a label whose addresses can't be read, and none whose can: it is hardly their typing."""

BARRED_IN_A_ROW = 100
"""The same of players who may not be contacted: some lists have many of them, but hardly so many in a row."""

_MISREAD = {
    Channel.EMAIL: "gives one player after the other an email address that can't be read: is it another column?",
    Channel.SMS: "gives one player after the other a phone number that can't be read: is default_region right?",
}
_BARRED = "says of one player after the other that they may not be contacted: do opted_out and the like mean just that?"


@implementer(IRecipients)
class Recipients:
    """The players of all labels, in `directories`."""

    log = Logger()

    def __init__(self, clock: IReactorTime, directories: Directories, labels: Mapping[str, config.Label]) -> None:
        self._directories = directories
        self._directory_of = _directory_of(labels)
        self._unknown = InARow(clock, UNKNOWN_IN_A_ROW)  # players of each label: others may be known, by another query
        # Players of each label and channel.
        self._misread = InARow(clock, MISREAD_IN_A_ROW)
        self._barred = InARow(clock, BARRED_IN_A_ROW)

    def reconfigure(self, tables: Mapping[str, config.Directory], labels: Mapping[str, config.Label]) -> None:
        """Ask these directories from the next look-up on; one that runs ends with what it began with.

        Raises ValueError where one of them can't be opened; then nothing has changed.
        """
        self._directories.reconfigure(tables)
        self._directory_of = _directory_of(labels)
        self._unknown.forget()
        self._misread.forget()
        self._barred.forget()

    def in_use(self) -> Iterator[tuple[str, str, Remembered]]:
        """Each directory that a label uses: its name, one of the labels, and itself."""
        label_of = {name: label for label, name in self._directory_of.items()}
        for name, directory in self._directories.by_name.items():
            if name in label_of:
                yield name, label_of[name], directory

    def degraded(self) -> Iterator[Degraded]:
        """The directories that do not answer, or know nobody, and whose players can't be looked up for that."""
        of_nobody = {label for label, _ in self._unknown.found()}
        for name, why in self._directories.trouble().items():
            labels = [label for label, directory in self._directory_of.items() if directory == name]
            strange = [label for label in labels if label in of_nobody]
            if why:
                text = f"directory {name}: {why}; messages of {some_names(labels)} are taken unchecked, and wait"
                yield Degraded("directory", name, text)
            elif strange:
                text = f"directory {name} knows none of the latest {UNKNOWN_IN_A_ROW} players that it was asked for"
                whom = f"Labels: {some_names(strange)}"
                yield Degraded("directory", name, f"{text}: is it empty, or asked for another id? {whom}")
        for channel in Channel:
            yield from self._strange(channel, self._misread, _MISREAD.get(channel, ""))
            yield from self._strange(channel, self._barred, _BARRED)

    def _strange(self, channel: Channel, counts: InARow, why: str) -> Iterator[Degraded]:
        """The directories whose answers leave nobody of a label to be written to by this channel."""
        scopes = {scope for scope, _ in counts.found()}
        hit: dict[str, list[str]] = {}
        for label, name in self._directory_of.items():
            if _scope(label, channel) in scopes:
                hit.setdefault(name, []).append(label)
        for name, labels in hit.items():
            yield Degraded("directory", f"{name}/{channel}", f"directory {name} {why} Labels: {some_names(labels)}")

    async def address(self, label: str, user: str, channel: Channel, *, fresh: bool = False) -> Resolved:
        """See IRecipients."""
        name = self._directory_of.get(label, "")
        # Both are taken before the look-up: a reload in the middle of it may rename or close this directory.
        directory, table = self._directories.by_name.get(name), self._directories.tables.get(name)
        if directory is None or table is None:
            return Resolved(user, why_not=WhyNot.UNAVAILABLE, reason="the label has no directory")
        try:
            found = await directory.find(label, user, fresh=fresh)
        except CancelledError:
            raise
        except TemporaryFailure as failure:
            return Resolved(
                user, why_not=WhyNot.UNAVAILABLE, reason=failure.reason, not_before=failure.not_before or 0.0
            )
        except Exception:
            self.log.failure(
                "directory {directory} raised what it may not: a bug of it or of gatewayd; asked again", directory=name
            )
            return Resolved(user, why_not=WhyNot.UNAVAILABLE, reason=f"the directory {name} failed unexpectedly")
        if found is None:
            self._unknown.failed(label, whose=user)
            return Resolved(user, why_not=WhyNot.UNKNOWN)
        self._unknown.worked(label)
        user = found.id or user
        scope = _scope(label, channel)
        if not found.may_be_contacted(channel):
            self._barred.failed(scope, whose=user)
            return Resolved(user, why_not=WhyNot.MAY_NOT)
        self._barred.worked(scope)
        address = address_of(found, channel, table.default_region, user)
        if address is None:
            if is_misread(found, channel):
                self._misread.failed(scope, whose=user)
            return Resolved(user, why_not=WhyNot.NO_ADDRESS)
        self._misread.worked(scope)
        return Resolved(user, address, consented_at=found.consented_at)

    def patience(self, label: str) -> float:
        """See IRecipients."""
        directory = self._directories.by_name.get(self._directory_of.get(label, ""))
        return directory.timeout if directory is not None else 0.0


def _scope(label: str, channel: Channel) -> str:
    return f"{label}/{channel}"


def _directory_of(labels: Mapping[str, config.Label]) -> dict[str, str]:
    return {name: label.directory for name, label in labels.items()}
