"""A look at one SMSC for `check`: `probe` binds and leaves, and `bound` is how any look begins.

Owns a conversation of its own, one question at a time, beside session.py's rules: it must see what the session
smooths over. It sends no message and keeps nothing.
"""

from typing import Any

from msgspec import Struct
from twisted.internet.defer import CancelledError
from twisted.internet.protocol import Factory

from gatewayd import config
from gatewayd.core.reaching import plain
from gatewayd.smpp import dial
from gatewayd.smpp.bind import COMMANDS, WAYS, Mode, bind_request
from gatewayd.smpp.codec import pdu as smpp
from gatewayd.smpp.codec.codes import NO_SUCH_BIND
from gatewayd.smpp.codec.pdu import Disposition, Status
from gatewayd.smpp.talk import PATIENCE, Talk, Trouble


class Probed(Struct, frozen=True):
    """What `probe` found of one bind: `text` is one line for the operator.

    `no_bind_left` says that the SMSC has no bind left for this account, which a running daemon is reason enough for;
    `lacking`, that it may have no bind of this kind at all.
    """

    ok: bool
    text: str
    no_bind_left: bool = False
    lacking: bool = False


async def probe(reactor: Any, smsc: config.Smsc) -> list[Probed]:
    """Bind, enquire_link, unbind (SMPP 3.4 4.1, 4.11, 4.2), for each kind of bind that the daemon would have.

    Sends no message, and takes none: a receipt that comes meanwhile is the daemon's.
    """
    found: list[Probed] = []
    for modes in WAYS[smsc.bind]:
        found = [await _probe(reactor, smsc, mode) for mode in modes]
        if not found[0].lacking:
            break
    return found


async def _probe(reactor: Any, smsc: config.Smsc, mode: Mode) -> Probed:
    bind = COMMANDS[mode].name.lower()
    try:
        talk, answer = await bound(reactor, smsc, mode, takes=False)
    except BindRefusal as refused:
        no_bind_left, lacking = refused.status == Status.RALYBND, refused.status in NO_SUCH_BIND
        return Probed(False, f"{bind}: {refused}", no_bind_left=no_bind_left, lacking=lacking)
    except Trouble as trouble:
        return Probed(False, f"{bind}: {trouble}")
    try:
        began = reactor.seconds()
        alive = await talk.ask(smpp.EnquireLink(0))
        took = (reactor.seconds() - began) * 1000
        status = smpp.status_name(alive.status)
        if smpp.disposition(alive.status) is Disposition.SESSION:
            return Probed(False, f"{bind} taken, but enquire_link gets {status}")
        left = await leave(talk)
    except Trouble as trouble:
        return Probed(False, f"{bind} taken, then {trouble}")
    finally:
        await talk.close()
    peer = answer.system_id.decode("latin-1", "replace")[:16]
    secure = "TLS with a good certificate, " if smsc.tls else ""
    # Who knows no enquire_link, or has no time for it, is there all the same: the daemon asks no more.
    answered = f" with {status}" if alive.status else ""
    return Probed(True, f"{bind} taken by {peer!r}, {secure}enquire_link in {took:.0f} ms{answered}, {left}")


async def leave(talk: Talk, patience: float = PATIENCE) -> str:
    """Say good-bye, and how that was taken."""
    try:
        await talk.answer(talk.put(smpp.Unbind(0)), patience)
    except Trouble:
        # Some just close; the bind is over either way.
        return "unbind not answered"
    return "unbind"


class BindRefusal(Trouble):
    """The bind was answered with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"bind refused: {smpp.status_name(status)}{hint(status)}")
        self.status = status


async def bound(reactor: Any, smsc: config.Smsc, mode: Mode, *, takes: bool = True) -> tuple[Talk, smpp.BindResp]:
    """A conversation begun with a bind, and the answer to it. Raises BindRefusal, and Trouble where there is none."""
    try:
        endpoint = dial.endpoint_of(reactor, smsc)
        connecting = endpoint.connect(Factory.forProtocol(lambda: Talk(reactor, takes=takes)))
        connecting.addTimeout(PATIENCE, reactor)
        talk = await connecting
    except CancelledError:
        raise
    except Exception as error:
        raise Trouble(f"no connection: {plain(error)}") from None
    assert isinstance(talk, Talk)
    try:
        answer = await talk.ask(bind_request(smsc, mode))
        if answer.status:
            raise BindRefusal(answer.status)
        if not isinstance(answer, smpp.BindResp):
            raise Trouble("bind was answered by something else")
    except BaseException:
        await talk.close()
        raise
    return talk, answer


_HINTS: dict[int, str] = {
    Status.RINVPASWD: ": password is wrong",
    Status.RINVSYSID: ": system_id is wrong",
    Status.RINVSYSTYP: ": system_type is wrong",
    Status.RBINDFAIL: ": wrong credentials, a wrong kind of bind, or our address is not on their list",
    Status.RALYBND: ": no bind is left for this account; does the daemon hold them?",
    Status.RINVSRCADR: ": they do not know this sender",
    Status.RINVSRCTON: ": try another source_ton_npi",
    Status.RINVSRCNPI: ": try another source_ton_npi",
    Status.RINVDSTADR: ": they do not take this number",
    Status.RINVDSTTON: ": try another dest_ton_npi",
    Status.RINVDSTNPI: ": try another dest_ton_npi",
    Status.RTHROTTLED: ": rate or window is too high for them",
}


def hint(status: int) -> str:
    """What an operator may do about a status, to follow its name; "" where nobody knows."""
    return _HINTS.get(status, "")
