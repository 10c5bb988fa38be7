"""Prints what it takes to export, erase and replay where very many messages are kept.

Run: PYTHONPATH=.:tests:tests/integration:tests/bench python tests/bench/kept.py [--messages N]
[--in-the-part N] [--in-the-minute N]

A private Redis without persistence. One SMS goes through its life; it is copied under other ids, uids and players, and
into the lists that the store keeps. A player's look-up reads one part of 2,048 of these lists, a replay those of its
minutes: with the defaults that part and that minute have as many as when ten million messages are kept for seven days,
and the others have what `--messages` leaves for them. Manual 8.1 has the figures.
"""

import argparse
import os
import time
from pathlib import Path
from typing import Any

from store_cost import Bench
from twisted.internet import task
from twisted.internet.defer import Deferred

from gatewayd.core.model import Channel
from gatewayd.store import RedisStore, legend, players
from gatewayd.store.spelling import spell
from redis_server import RedisServer

STEP = 5000
PACKED = Path(legend.__file__).parent / "lua" / "shared" / "packed.lua"
COPIES = """
local P, sub, call = KEYS[1], string.sub, redis.call
local from, upto, template, day, part = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4], tonumber(ARGV[5])
local minute, heard_then = tonumber(ARGV[6]), tonumber(ARGV[7])
{packed}
for n = from, upto do
  local id = string.format('%08x-0000-4000-8000-%012x', n, n)
  call('COPY', template, KEY.message .. id)
  call('HSET', KEY.message .. id, FIELD.user, 'player ' .. n, FIELD.uid, 'uid ' .. n)
  call('APPEND', KEY.players .. day .. ':' .. (part >= 0 and part or n % 2048), packed(id))
  call('APPEND', KEY.heard_in .. (n < heard_then and minute or minute - 1 - n % 10000) .. ':amazing', packed(id))
end
"""


async def run(options: argparse.Namespace) -> None:
    """Fill it, and look."""
    server = RedisServer()
    await server.start("--appendonly", "no")
    bench = Bench(server)
    bench.link.startService()
    prefix = RedisStore.key_prefix("gatewayd:")
    await bench.store.beat(first=True, dead_after=15)
    message = bench.message(1, Channel.SMS)
    await bench.sms(message)
    heard = max(await bench.link.command("KEYS", f"{prefix}{legend.KEYS['heard_in'].short}*"))
    minute = int(heard.decode().rsplit(":", 2)[1])
    hashes = bench.keys.user_hashes("amazing", message.ext_user_id)
    [key] = await bench.link.command("KEYS", f"{prefix}{legend.KEYS['players'].short}*")
    day, number = key.decode().rsplit(":", 2)[1:]
    assert int(number) == players.bucket(hashes[0])
    source = spell(COPIES.format(packed=PACKED.read_text()))
    template = f"{prefix}{legend.KEYS['message'].short}{message.id}"

    async def fill(start: int, end: int, part: int) -> None:
        for begin in range(start, end, STEP):
            last = min(begin + STEP, end) - 1
            words = (begin, last, template, day, part, minute, options.in_the_minute)
            await bench.link.command("EVAL", source, 1, prefix, *words)

    await fill(0, options.in_the_part, int(number))
    await fill(options.in_the_part, options.messages, -1)
    store, user = bench.store, message.ext_user_id
    queue = f"{prefix}{legend.KEYS['queue'].short}reports"

    async def look(what: str, step: Any) -> None:
        cursor, seen, began, cpu = "", 0, time.monotonic(), _cpu(server.pid)
        while cursor != "0":
            cursor, looked_at = await step(cursor or "0")
            seen += looked_at
        taken, cpu = time.monotonic() - began, _cpu(server.pid) - cpu
        print(f"| {what} | {seen:,} | {taken:.2f} s | {cpu:.2f} s |", flush=True)

    async def export(cursor: str) -> tuple[str, int]:
        following, seen, _ = await store.export_some(cursor, "amazing", user, hashes=hashes)
        return following, seen

    async def erase(cursor: str) -> tuple[str, int]:
        following, erased = await store.erase_some(cursor, "amazing", user, hashes=hashes)
        return following, erased.seen

    async def replay(cursor: str) -> tuple[str, int]:
        return await store.replay_some(cursor, "amazing", minute * 60.0, (minute + 1) * 60.0)

    kept = await bench.link.command("DBSIZE")
    print(
        f"{kept:,} keys\n| verb | looked at, or queued again | seconds | of Redis' CPU |\n|---|---|---|---|", flush=True
    )
    await look("export of a player", export)
    await look("erase of a player", erase)
    await look("replay of a minute", replay)
    print(f"{await bench.link.command('ZCARD', queue):,} messages have statuses to tell again", flush=True)
    await bench.link.stopService()
    server.remove()


def _cpu(pid: int) -> float:
    with Path(f"/proc/{pid}/stat").open() as file:
        return sum(map(int, file.read().rpartition(")")[2].split()[11:13])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Read the options, and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=1_000_000, help="kept, all together (1000000)")
    parser.add_argument("--in-the-part", type=int, default=4_883, help="of them in the player's part (4883)")
    parser.add_argument("--in-the-minute", type=int, default=993, help="of them heard in the minute (993)")
    options = parser.parse_args()
    task.react(lambda _: Deferred.fromCoroutine(run(options)))


if __name__ == "__main__":
    main()
