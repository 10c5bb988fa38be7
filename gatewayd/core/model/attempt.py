"""One attempt: what was leased, what a channel is asked to do, and what it gives back.

The same for a report: the status that is to be told next.
"""

from msgspec import Struct

from gatewayd.core.model.kept import TracedEvent
from gatewayd.core.model.message import Channel, Message
from gatewayd.core.remote_names import sealed
from gatewayd.core.status import Report, State


class Order(Struct, frozen=True):
    """What a channel is asked to do once: this message, to this address, by the first of `routes` that is up.

    `address` is a checked email address, a number in E.164 form with its plus, or any text (im). `routes` are names of
    relays, SMSCs or providers in order of preference. `progress` holds the remote ids of segments that an earlier
    attempt got taken, by `begun_on` where that is known: an id means nothing to another SMSC. `lease` is the name of
    the message's lease.
    """

    message: Message
    address: str
    routes: tuple[str, ...]
    progress: tuple[str, ...] = ()
    attempt: int = 1
    begun_on: str = ""
    lease: str = ""
    copies: int = 0

    def __repr__(self) -> str:
        return f"<Order {self.message.id} attempt {self.attempt}>"


class Handed(Struct, frozen=True, gc=False):
    """The next hop took the message: `route` is its name, `remote_ids` one id for each segment, `detail` its words.

    An SMSC's remote ids are in the form under which its receipts are looked up (smpp/receipt.py normalises both).
    """

    route: str
    remote_ids: tuple[str, ...] = ()
    detail: str = ""


def part_of(provider: str, message_id: str, remote_id: str) -> str:
    """A provider's id of one part of a message, as a remote id: no other message's report can name it.

    Where a provider's reports name no message of ours, and only its own ids, `message_id` is empty.
    """
    return sealed(provider, f"{message_id}/{remote_id}")


class Leased(Struct, frozen=True):
    """A message that this process holds, with what earlier attempts left behind. Times: seconds since the epoch.

    `lease` is this very lease's name: after it was given back, who held it can neither mark nor settle the message.
    `copies` counts those that may have been taken. `mark` is the stamp of its latest mark (IStore.mark), 0 for none.
    `story` is its timeline so far where its deadline had passed when it was leased, else nothing.
    `taken_at` is its acceptance by the shared clock, which may have been set since; 0 where it has just been accepted.
    `address_hash` names where `progress` went, "" where that is not known.
    """

    message: Message
    state: State = State.QUEUED
    attempts: int = 0
    first_tried: float = 0.0
    route: str = ""
    marked_at: float = 0.0
    progress: tuple[str, ...] = ()
    lease: str = ""
    copies: int = 0
    mark: int = 0
    story: tuple[TracedEvent, ...] = ()
    taken_at: float = 0.0
    address_hash: str = ""


class ReportJob(Struct, frozen=True):
    """The next status to tell about a message. `first_tried` is 0 before the first try.

    `stood` is for the store that made it: how the message stood then; "" where it may have been told before.
    """

    message_id: str
    label: str
    channel: Channel
    status: Report
    callback_url: str
    queued_at: float
    attempts: int = 0
    first_tried: float = 0.0
    lease: str = ""
    stood: str = ""
