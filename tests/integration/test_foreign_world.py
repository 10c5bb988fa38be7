"""Both ways out at once, on parts that are not ours: real Postfix and an npm SMSC, the daemon killed under load."""

import re

import pytest
import pytest_twisted
from daemon import free_port
from foreign_smsc import around, copies, copies_there
from load import TOLD, Load
from postfix import Postfix
from twisted.internet import reactor

from redis_server import until

COUNT = 200


@pytest.mark.timeout(600)
@pytest_twisted.ensureDeferred
async def test_kill_9_under_load_between_postfix_and_a_foreign_smsc() -> None:
    """Nothing accepted is lost, no SMS is sent twice, and Postfix's success reports come back for every email."""
    lmtp = free_port()
    domains = {"bounces.amazing.co": f"lmtp:inet:127.0.0.1:{lmtp}", "players.example": "discard:"}
    main = {"relay_domains": "bounces.amazing.co, players.example", "lmtp_destination_recipient_limit": "1"}
    behaviour = {"answer_delay": 20, "receipt_delay": 200}
    async with (
        Postfix(reactor, transports=domains, main=main) as postfix,
        around(COUNT, {"window": 20}, **behaviour) as (world, smsc),
    ):
        world.settings["bounces"]["listen"] = [f"tcp:{lmtp}:interface=127.0.0.1"]
        world.settings["relays"]["main"]["port"] = postfix.port
        await world.start()
        texts, mails = Load(world, "sms", COUNT), Load(world, "email", COUNT)
        for so_many in (COUNT // 4, COUNT // 2):

            async def reached(least: int = so_many) -> bool:
                return bool((await smsc.ask())["submits"] >= least)

            await until(reached)
            world.daemon.kill()
            await world.daemon.start()
        await texts.done
        await mails.done
        held = await texts.all_settled(lambda: copies_there(smsc))
        await mails.all_final(80)
        assert max(copies(await smsc.ask()).values()) == 1
        # Marked and not taken when the daemon died: a window in each kill at the most, and said so.
        assert len(held) <= 2 * 20
        for text in texts.ids:
            assert texts.is_told_or_held(text, held)
        for mail in mails.ids:
            assert mails.statuses(mail) == TOLD
        handed = set(re.findall(r"to=<(p\d+)@players\.example>.*status=sent", postfix.log()))
        assert len(handed) == COUNT
