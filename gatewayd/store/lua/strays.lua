-- What this instance leased at least `age` ago: a reply that was lost leaves leases that nobody works on.
-- item    kind age(ms)
-- reply   ids
local function each(it)
  return call('ZRANGEBYSCORE', P .. 'l:' .. it[1] .. ':' .. INSTANCE, '-inf', NOW - it[2])
end
