"""What must hold of all that Redis keeps, after each of its steps and at the end."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gatewayd.core.status import FINAL, REPORTS, State
from gatewayd.store.legend import FIELDS, KEYS
from gatewayd.store.rows import record

SNAPSHOT = """
local out = {}
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
  local kind = redis.call('TYPE', key).ok
  local value = false
  if kind == 'hash' then value = redis.call('HGETALL', key)
  elseif kind == 'zset' then value = redis.call('ZRANGE', key, 0, -1)
  elseif kind == 'set' then value = redis.call('SMEMBERS', key)
  elseif kind == 'string' then value = redis.call('GET', key) end
  out[#out + 1] = {key, value, ARGV[2] == 'lifetimes' and redis.call('PTTL', key) or 0}
end
return out
"""
ENDLESS = (
    "asides",
    "beats",
    "boots",
    "counts",
    "dead",
    "dead_why",
    "heard_since",
    "instances",
    "layout",
    "parked",
    "paused",
    "waiting",
)
"""Families that never go, and those whose members have an end each."""


def field(name: str) -> str:
    """A field's short form."""
    return FIELDS[name].short


@dataclass
class Kept:
    """All keys: `messages` by id, and who stands in which place."""

    messages: dict[str, Mapping[str, str]]
    places: Counter[tuple[str, str]]
    leased: Counter[tuple[str, str]]
    lifetimes: dict[str, int]
    waiting: int
    counts: dict[str, int]
    contents: dict[str, int]

    @classmethod
    def read(cls, server: Any, prefix: str, *, lifetimes: bool = False) -> "Kept":
        """What Redis keeps now; with how long yet, if asked for."""
        kept = cls({}, Counter(), Counter(), {}, 0, {}, {})
        words = _glob(prefix) + "*", "lifetimes" if lifetimes else ""
        for raw_key, value, lifetime in server.ask("EVAL", SNAPSHOT, 0, *words):
            key = raw_key.decode("utf-8", "backslashreplace")[len(prefix) :]
            kept.lifetimes[key] = lifetime
            if key.startswith(KEYS["message"].short):
                kept.messages[key[len(KEYS["message"].short) :]] = _message(tuple(value))
            elif key.startswith((KEYS["queue"].short, KEYS["leases"].short)):
                kind = "reports" if key.split(":")[1] == "reports" else "messages"
                kept.places.update((kind, member.decode()) for member in value)
                if key.startswith(KEYS["leases"].short):
                    kept.leased.update((kind, member.decode()) for member in value)
            elif key.startswith(KEYS["aside"].short):
                kept.places.update(("messages", member.decode()) for member in value)
            elif key == KEYS["waiting"].short:
                kept.waiting = int(value)
            elif key == KEYS["counts"].short:
                words = [word.decode() for word in value]
                kept.counts = {name: int(number) for name, number in zip(words[::2], words[1::2], strict=True)}
            elif key.startswith(KEYS["content_more"].short):
                kept.contents[key[len(KEYS["content_more"].short) :]] = int(value) + 1
            elif key.startswith(KEYS["content"].short):
                kept.contents.setdefault(key[len(KEYS["content"].short) :], 1)
        return kept

    def judge(self) -> None:
        """After each step: AssertionError where something is in no place or in two, or where a count is off."""
        waits = {State.QUEUED, State.UNCERTAIN}
        contents: Counter[str] = Counter()
        waiting = 0
        states: Counter[str] = Counter()
        for message_id, m in self.messages.items():
            state, short = State(m[field("state")]), message_id[:8]
            content = m.get(field("content"))
            assert (state in waits) == (content is not None), f"{short} is {state}, content: {content is not None}"
            places = self.places["messages", message_id]
            if content is None:
                # Evidence may end what is being sent: its lease goes when the sender comes to settle it.
                places -= self.leased["messages", message_id]
            assert places == (content is not None), f"{short} ({state}) stands in {places} places"
            if content is not None:
                waiting += 1
                contents.update([] if content[1:2] == "[" else [content])
            pending = m.get(field("to_tell"), "")
            told = self.places["reports", message_id]
            # Told by one whose lease a peer had taken over: the peer's goes when it comes to end it.
            queued = told - self.leased["reports", message_id]
            assert (queued == 0) if not pending else (queued <= 1 <= told), (
                f"{short} has {pending!r} to tell and stands in {queued} queues, {told} places"
            )
            channel = m[field("channel")]
            states[f"amazing|{channel}|accepted"] += 1
            states[f"amazing|{channel}|{'in_flight' if state in waits else state}"] += 1
        # One that was taken back while a peer had leased it: the peer's lease goes when it comes to mark or settle.
        places = self.places - self.leased
        strangers = {place for place in places if place[1] not in self.messages}
        assert not strangers, f"in a queue, and not kept: {strangers}"
        assert self.waiting == waiting, f"`waiting` is {self.waiting}, of {waiting}"
        assert self.contents == dict(contents), f"contents: {self.contents}, used: {dict(contents)}"
        for name, number in self.counts.items():
            if not name.endswith("|handed"):
                assert number == states[name], f"{name} is {number}, of {states[name]}"

    def judge_end(self, heard: dict[str, list[str]], forgotten: set[str], receipted: set[str]) -> None:
        """When nothing moves any more: all have ended, all was heard in order, and all that is kept has an end.

        What Redis has forgotten of a message may have been heard, too. Of those that are `receipted` each segment's
        receipt was acknowledged, whatever Redis has forgotten.
        """
        self.judge()
        for message_id, m in self.messages.items():
            short, state = message_id[:8], State(m[field("state")])
            assert state in FINAL | {State.SENT}, f"{short} is {state} at the end"
            assert state in FINAL or message_id not in receipted, f"{short} is {state}, and all its receipts came"
            queued = [str(REPORTS[letter]) for letter in m[field("queued_reports")]]
            first = list(dict.fromkeys(heard.get(message_id, [])))
            assert first == queued or message_id in forgotten, (
                f"{short}: heard {heard.get(message_id)}, queued {queued}"
            )
            if m[field("channel")] == "sms" and message_id not in forgotten:
                ends = [status for status in first if status in ("delivered", "failed", "rejected")]
                assert len(ends) <= 1, f"{short} ended as {ends}"
        shorts = {KEYS[name].short for name in ENDLESS if name in KEYS}
        endless = [key for key, left in self.lifetimes.items() if left == -1 and key not in shorts]
        assert not endless, f"without an end: {endless}"


@lru_cache(500)
def _message(flat: tuple[bytes, ...]) -> Mapping[str, str]:
    """A message's fields. From one step to the next few of them change."""
    return {name.decode(): value.decode("utf-8", "backslashreplace") for name, value in record(flat).items()}


def _glob(prefix: str) -> str:
    return "".join("\\" + char if char in "[]*?\\" else char for char in prefix)
