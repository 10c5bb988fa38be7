"""Out by the mail servers that operators have, and back from them over LMTP, each set up as the manual says."""

from typing import Any

import pytest
import pytest_twisted
from lmtp_listener import DOMAIN, listening
from other_mtas import EXIM, OPENSMTPD, SENDMAIL, Kind, Mta
from twisted.internet import defer, reactor

from gatewayd.config import Relay
from gatewayd.core.errors import PermanentFailure
from gatewayd.core.model import Order
from gatewayd.core.status import Event
from gatewayd.smtp.channel import SmtpChannel
from smtp_world import KEYS, label, message


async def _mark(route: str) -> None:
    """Nothing is stored here."""


@pytest.mark.parametrize("kind", [EXIM, OPENSMTPD, SENDMAIL], ids=lambda kind: kind.name)
@pytest_twisted.inlineCallbacks
def test_out_by_the_relay_and_back_by_lmtp(kind: Kind) -> Any:
    """A success report makes `delivered`, an unknown player is rejected or bounces, and each is its own message's."""
    yield defer.Deferred.fromCoroutine(_both_ways(kind))


async def _both_ways(kind: Kind) -> None:
    async with listening() as listener, Mta(kind, listener.port) as relay:
        channel = SmtpChannel(
            reactor,
            {"main": Relay(host=relay.host, port=relay.port, helo="gw1.amazing.test")},
            {"amazing": label()},
            keys=KEYS,
            return_domain=DOMAIN,
        )
        channel.startService()
        try:
            good = message(1)
            handed = await channel.send(Order(good, "player@player.test", ("main",)), _mark)
            assert handed.detail.startswith("250 ")
            fact = await listener.fact()
            assert (fact.message_id, fact.event, fact.source) == (good.id, Event.DELIVERED, "dsn"), relay.log()

            bad = message(2)
            order = Order(bad, "stranger@player.test", ("main",))
            if kind is EXIM:
                # As it is here, it takes all and sends it back.
                await channel.send(order, _mark)
                fact = await listener.fact()
                assert (fact.message_id, fact.event) == (bad.id, Event.BOUNCED), relay.log()
            else:
                with pytest.raises(PermanentFailure):
                    await channel.send(order, _mark)

            if kind is SENDMAIL:
                gone = message(4)
                await channel.send(Order(gone, "gone@player.test", ("main",)), _mark)
                fact = await listener.fact()
                assert (fact.message_id, fact.event, fact.hard) == (gone.id, Event.BOUNCED, True), relay.log()
                assert fact.detail.startswith("failed 5.1.1"), fact.detail

            if kind is OPENSMTPD:
                slow = message(3)
                await channel.send(Order(slow, "slow@player.test", ("main",)), _mark)
                fact = await listener.fact()
                # Up to 7.0 it calls that delayed, since then failed: it has ended in either case, and nothing is wrong
                # with the address.
                assert fact.message_id == slow.id
                assert fact.event in (Event.FAILED, Event.BOUNCED), relay.log()
                assert not fact.hard
                assert ".4.7" in fact.detail
        except defer.TimeoutError:
            raise AssertionError(relay.log()[-5000:]) from None
        finally:
            await channel.stopService()
