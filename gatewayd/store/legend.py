"""The legend of Redis: every key and every hash field by name, with its meaning, type, who writes it and when it goes.

Scripts say `KEY.message .. id` and `FIELD.state`; spelling.py puts the short forms in when they are loaded, so that
Redis holds short ones and nobody reads them. Python reads records by these names, too (rows.py). Pure.

A family is what stands between the prefix and the rest of a key. Moments are milliseconds since the epoch unless it
says otherwise; "0.1.0" marks what only that version wrote, and this one reads until it has run out.
"""

from msgspec import Struct


class Key(Struct, frozen=True):
    """A family of keys: `short` begins it, `rest` says what follows, `kind` is its Redis type."""

    short: str
    rest: str
    kind: str
    meaning: str
    written_by: str
    goes: str


class Field(Struct, frozen=True):
    """A field of the hash `message`."""

    short: str
    kind: str
    meaning: str
    written_by: str
    goes: str


_KEPT = "max(retention, 49 h) after the next hop took it or it ended; longer while a status is to be told"
_FINAL = "when the next hop took the message or it ended"

KEYS: dict[str, Key] = {
    # Messages
    "message": Key("m:", "id", "hash", "what is kept of a message: FIELDS", "accept", _KEPT),
    "content": Key(
        "c:", "digest", "string", "what long messages say, once for all that say the same", "accept", _FINAL
    ),
    "content_more": Key(
        "c+:", "digest", "integer", "how many messages beside one say it", "accept", "with the content"
    ),
    "callback": Key("w:", "digest", "string", "a callback URL", "accept", "after the last message that names it"),
    "players": Key(
        "pl:",
        "day:bucket",
        "string",
        "ids (16 bytes each) of players' messages; a bucket is a part of the player's keyed hash",
        "accept, and what keeps a message for longer",
        "on that day: the one on which the last of these messages goes",
    ),
    "heard_in": Key(
        "hi:",
        "minute:label",
        "string",
        "ids (16 bytes each) of messages of which a status was heard in that minute since the epoch",
        "end_report",
        "max(retention, 49 h) and a day after it",
    ),
    "heard_since": Key(
        "heard-since", "", "moment", "what was heard from then on is in such a list; 0: all", "beat", "never"
    ),
    "body": Key("b:", "id", "string", "0.1.0: a whole message while it waits", "0.1.0", _FINAL),
    "timeline": Key("t:", "id", "list", "0.1.0: at|event|detail", "0.1.0", "with its message"),
    # Queues. KIND is a channel or `reports`
    "queue": Key("Q:", "KIND", "zset", "ids by when they are due", "accept, put_back_for_retry ...", "when leased"),
    "leases": Key("H:", "KIND:instance", "set", "ids that it holds", "accept, lease_messages ...", "when settled"),
    "dated_leases": Key(
        "L:",
        "KIND:instance",
        "zset",
        "the leases of a version before this, by when they were leased",
        "a version before this",
        "when that instance has ended",
    ),
    "old_queue": Key(
        "q:", "KIND", "zset", "0.1.0: the queue; it would lose what we store", "0.1.0", "moved each second"
    ),
    "old_leases": Key("l:", "KIND:instance", "zset", "0.1.0: the leases", "0.1.0", "when that instance has ended"),
    "aside": Key("x:", "label|channel", "zset", "messages that wait for `resume`, by deadline", "set_aside", "resumed"),
    "asides": Key("parks", "", "set", "the scopes (label|channel) that have any", "set_aside", "with the last of them"),
    "paused": Key("paused", "", "set", "scopes that an operator paused", "operators.py", "resume"),
    "waiting": Key("waiting", "", "integer", "messages whose content is kept", "accept", "never"),
    "counts": Key("counts", "", "hash", "label|channel|what to how many", "accept, whatever moves a message", "never"),
    # Receipts
    "remotes": Key(
        "rm:",
        "day:bucket",
        "string",
        "remote ids of segments that were taken: hash (8 bytes), message (16), segment (1)",
        "settle_sent, record_segments ...",
        "retention after that day",
    ),
    "remote": Key("r:", "smsc:remote id", "string", "0.1.0: message|segment|address hash", "0.1.0", "retention"),
    "latest": Key(
        "la:",
        "day:bucket",
        "string",
        "the latest SMS to a number, instant message to an address: hash (8 bytes) of the keyed hash, message (16)",
        "mark_on_the_wire",
        "retention after that day",
    ),
    "latest_to": Key("n:", "number hash", "string", "0.1.0: the latest message to it", "0.1.0", "retention"),
    "unanswered": Key("u:", "number hash", "zset", "uncertain messages to a number", "put_back_for_retry", "retention"),
    "parked": Key(
        "parked",
        "",
        "zset",
        "receipts that found no message, or one by its number a minute ago, by the next look",
        "record_receipt",
        "1 h",
    ),
    "early": Key(
        "p:", "smsc:hash of a remote id", "list", "the same receipts, for the submit's answer", "record_receipt", "2 h"
    ),
    # Reports
    "dead": Key("dead", "", "zset", "id|letter of statuses given up, by when", "end_report", "30 days, or an operator"),
    "dead_why": Key(
        "deadwhy", "", "hash", "id|letter to label|reason|ms tries", "end_report", "with its member of `dead`"
    ),
    # Stop list, memory, rates, instances
    "stop": Key(
        "stop:",
        "label:channel:keyed hash",
        "string",
        "not to be contacted: since ms|player or address|why|player's id or nothing; 1 is 0.1.0's",
        "put_stop",
        "suppress_for",
    ),
    "stops": Key("stops:", "label:channel", "zset", "those hashes by since when", "put_stop", "with their stops"),
    "lifted": Key("lifted:", "label", "flag", "its guard is lifted", "lifted_guards.py", "as long as it is"),
    "key_marks": Key(
        "key-marks",
        "",
        "hash",
        "the mark of each secret key to seconds|instance: when and by whom it was used last, to the hour",
        "key_marks.py",
        "never",
    ),
    "works": Key("works:", "queue", "flag", "a process works on it", "working.py", "20 s"),
    "stop_of": Key(
        "stopped-of:", "label:channel:player hash", "set", "their addresses on it", "put_stop", "suppress_for"
    ),
    "claim": Key(
        "seen:", "event", "string", "an outside event that was, or is being, recorded", "claims.py", "its time"
    ),
    "rate": Key(
        "rate:",
        "bucket",
        "text",
        "the next free moment of an even sequence | when it was written",
        "reserve_slots",
        "soon after it",
    ),
    "instances": Key("inst", "", "zset", "instances by their last heartbeat", "beat", "once recovered by a peer"),
    "boots": Key("boots", "", "hash", "instance to the process that owns the name", "beat", "with the instance"),
    "heard": Key(
        "heard:",
        "boot",
        "number",
        "the first call to `accept` of this process whose caller may still hear that nothing was stored",
        "accept, beat, heard",
        "an hour after its process",
    ),
    "beats": Key(
        "beats",
        "",
        "hash",
        "heartbeats of all: `last`, `steady` without a gap since, `count`; the dataset's `name`, `named` when it may"
        " have lost something; of each instance the one to which it has said what it remembers (`restated:NAME`), and"
        " the last heartbeat of the process before it (`seen:NAME`); the run of the `server`; the `lag` of deadlines"
        " behind its clock, told at `lag_at` by `lag_by`; `back_from`, the moment to which its clock was set back last,"
        " and `back_to`, the latest that it had shown by then",
        "beat",
        "never",
    ),
    "beaten": Key("beaten:", "boot", "number", "the `count` of this process's latest heartbeat", "beat", "14 days"),
    "audit": Key(
        "audit:",
        "instance",
        "hash",
        "`chain` and `lines`: its audit log's head; decisions `missing` after it",
        "keep_audit_head",
        "never",
    ),
    "layout": Key("layout", "", "number", "2 since this version wrote here", "beat", "never"),
    "old_data": Key("old-data", "", "flag", "messages of 0.1.0 may be kept", "beat", "retention and 62 days"),
    "waited": Key("waited", "", "flag", "the write of which WAIT says who has it", "replicas.py", "60 s"),
    "alive": Key("alive", "", "text", "the instance that last tried whether writes pass", "ping", "60 s"),
    "nothing": Key("-", "", "none", "never there: deleted first, see shared/opening.lua", "nobody", "at once"),
}

FIELDS: dict[str, Field] = {
    # Whose it is and what it is
    "fingerprint": Field(
        "h",
        "texts",
        "tells the same content from other content, keyed; player_bucket and deadline; 0.1.0: the first",
        "accept",
        "with the hash",
    ),
    "label": Field(
        "l", "texts", "whose Smartico label, channel and callback; 0.1.0: the first", "accept", "with the hash"
    ),
    "channel": Field("c", "text", "email, sms, im; in a field of its own: 0.1.0", "accept", "with the hash"),
    "who": Field("X", "long text", "user, uid and activity, if any: JSON", "accept", "erase_message"),
    "user": Field("x", "long text", "ext_user_id; in a field of its own: 0.1.0", "accept", "erase_message"),
    "uid": Field("i", "long text", "the caller's id of it; in a field of its own: 0.1.0", "accept", "erase_message"),
    "activity": Field("y", "long text", "activity_type; in a field of its own: 0.1.0", "accept", "erase_message"),
    "accepted_at": Field("t", "moment", "when it was accepted", "accept", "with the hash"),
    "deadline": Field("d", "moment", "when it ends as failed; in a field of its own: 0.1.0", "accept", "with the hash"),
    "deadline_lag": Field(
        "T",
        "number",
        "by how many ms deadlines lagged behind the clock, which was set, when it was accepted; not there for none",
        "accept",
        "with the hash",
    ),
    "callback": Field(
        "w",
        "text",
        "digest of its callback URL; empty: the label's; in a field of its own: 0.1.0",
        "accept",
        "with the hash",
    ),
    "player_bucket": Field("B", "number", "its bucket of KEY.players; not there of 0.1.0", "accept", "with the hash"),
    # While it waits
    "content": Field(
        "C",
        "long text",
        "digest of KEY.content; or, of a short one, in how many fields this is, and all it says: JSON, see rows.py",
        "accept",
        _FINAL,
    ),
    "envelope": Field("E", "long text", "sender, subject ...: JSON, see rows.py", "accept", _FINAL),
    "heard_by": Field(
        "v",
        "text",
        "when it was stored, and ;boot.attempt; of each call that heard of it",
        "accept",
        "known, or " + _FINAL,
    ),
    "lease": Field(
        "L",
        "text",
        "who holds it: boot, the lease's own name, and once marked + and the way; no way of a long SMS",
        "accept, lease_messages, mark_on_the_wire",
        "settled",
    ),
    "tries": Field("n", "number", "tries that counted", "put_back_for_retry", "with the hash"),
    "first_try": Field("f", "moment", "the first of them", "put_back_for_retry", "with the hash"),
    "copies": Field("q", "number", "copies that may have been taken", "put_back_for_retry, requeue_leases", _FINAL),
    "segments_taken": Field(
        "J", "number", "how many segments were taken; J1 ... are their remote ids", "mark_on_the_wire ...", _FINAL
    ),
    "lost_progress": Field(
        "G",
        "text",
        "Redis forgot its latest mark, and maybe which segments were taken before that: that mark's stamp|the"
        " `marked_at` that it got when it was restated",
        "restate_mark",
        "resume_uncertain, or with the hash",
    ),
    "old_segments": Field("j", "text", "0.1.0: those remote ids", "0.1.0", _FINAL),
    # Where it stands
    "state": Field(
        "s", "texts", "status.State, queued_reports and to_tell; 0.1.0: the first", "all that move it", "with the hash"
    ),
    "route": Field(
        "r",
        "texts",
        "marked_at (as ms since accepted_at), and the relay, SMSC or provider of the latest copy; 0.1.0: the second. A"
        " first copy of one segment has no step beside it: the story is told from here",
        "mark_on_the_wire, settle_sent",
        "with the hash",
    ),
    "marked_at": Field(
        "k",
        "moment",
        "right before the latest copy was written, and behind the mark before it; in a field of its own: 0.1.0",
        "mark_on_the_wire, restate_mark",
        "with the hash",
    ),
    "address_hash": Field("a", "text", "keyed hash of where it went", "mark_on_the_wire", "erase_message"),
    "segments": Field(
        "g", "text", "a letter of OUTCOME for each segment, a dot for none yet", "mark_on_the_wire", "with the hash"
    ),
    "wording": Field(
        "W",
        "text",
        "+ segment: checksum of the receipt that said how it ended, where others to that number, or other segments, may"
        " bear its remote id; behind a ? where that was taken for it by its number",
        "record_receipt",
        "with the hash",
    ),
    "sent_at": Field(
        "e",
        "moment",
        "when the next hop took it, where that is not when `accepted` was queued; 0.1.0: always",
        "settle_sent",
        "with the hash",
    ),
    "ended_at": Field(
        "z",
        "moment",
        "when it came to a final state, where no status was queued for that; 0.1.0: always",
        "all that move it",
        "with the hash",
    ),
    # What Smartico hears
    "queued_reports": Field(
        "o",
        "letters",
        "statuses that were ever queued, in order; in a field of its own: 0.1.0",
        "all that move it",
        "with the hash",
    ),
    "to_tell": Field(
        "p",
        "letters",
        "statuses that are still to be heard; behind their letters since when the first of these is to be told, and who"
        " tells it (as `lease`); in a field of its own: 0.1.0",
        "all that move it, lease_reports",
        "end_report",
    ),
    "old_since": Field("pq", "moment", "0.1.0: since when the first of these is to be told", "0.1.0", "end_report"),
    "report_tries": Field("pn", "number", "tries at it", "retry_report", "end_report"),
    "report_first_try": Field("pf", "moment", "the first of them", "retry_report", "end_report"),
    # Its story. These are families: what follows the short form is said
    "report": Field(
        "R",
        "numbers",
        "+ letter: when queued, heard first, heard last, how often heard; ms since accepted_at; not there yet where"
        " `to_tell` says since when it is to be told",
        "all that move it, end_report",
        "with the hash",
    ),
    "heard_between": Field(
        "Q",
        "numbers",
        "+ letter: when heard between first and last, the latest that fit into 64 bytes; ms since accepted_at",
        "end_report",
        "erase_message",
    ),
    "step": Field(
        ":",
        "numbers",
        "+ event|detail: first, last, how often; ms since accepted_at",
        "shared/note.lua",
        "erase_message",
    ),
    "detail": Field(
        "+", "text", "+ hash and number: the rest of a detail of over 64 bytes", "shared/note.lua", "erase_message"
    ),
    "no_news": Field("#", "number", "facts that changed nothing", "record_evidence, record_receipt", "with the hash"),
}

LONG = 64
"""Bytes that a value of a hash may have: one that is longer turns the hash into another kind, of twice the memory.

A long text goes on in fields of the same name with 1, 2 ... behind it.
"""
