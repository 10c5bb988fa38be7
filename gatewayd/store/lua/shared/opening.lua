-- What stands before each script, with `coda.lua` behind; of the other files here, those whose function it uses.
-- KEYS[1]  the prefix of every key, with its hash tag (one slot of a cluster)
-- ARGV     what a test adds to the clock (ms) | instance | high-water mark | keep (s) | retention (s) | boot (unique to the process)
--          and behind them the items, each as the values that `each` takes (msgpack)
-- Result   one reply for each item, in order
-- Names    after KEY and FIELD stand names of legend.py; QUEUED, UNCERTAIN, WAITING, FINAL, COLUMN (transition table),
--          OUTCOME and KINDS are written above from status.py
local P, INSTANCE = KEYS[1], ARGV[2]
local KEEP, RETENTION, BOOT, FIRST_ITEM = ARGV[4], ARGV[5], ARGV[6], 7
local call, find, sub, values = redis.call, string.find, string.sub, cmsgpack.unpack
local DAY = 86400000
-- What processes share is timed by this server's clock: theirs may differ.
local clock = call('TIME')
local NOW = clock[1] * 1000 + math.floor(clock[2] / 1000) + ARGV[1]
local now = string.format('%d', NOW)
-- What the whole call owes to counters and sets: written once at its end, whatever ended it, so that what is done is whole.
local at_end = {}
