-- Lay a leased message of a paused label and channel aside, until it is resumed or its deadline comes.
-- item    id channel label deadline(ms)
-- reply   1 laid aside, 0 back in the queue (no longer paused) or not ours
local function each(it)
  local id = it[1]
  if call('ZREM', P .. 'l:' .. it[2] .. ':' .. INSTANCE, id) == 0 then return 0 end
  local place = it[3] .. '|' .. it[2]
  if call('SISMEMBER', P .. 'paused', place) == 0 then
    call('ZADD', P .. 'q:' .. it[2], now, id)
    return 0
  end
  call('ZADD', P .. 'x:' .. place, it[4], id)
  call('SADD', P .. 'parks', place)
  note(id, 'paused', '')
  return 1
end
