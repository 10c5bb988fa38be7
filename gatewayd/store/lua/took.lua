-- The SMSC took a segment of a long SMS, and there are more.
-- item    id channel route remote-ids(of all its segments that were taken)
-- reply   1, or 0 where it is not ours
-- holds   until the next mark nothing of it is on the wire: after a crash it goes on behind these segments
local function each(it)
  local id, key = it[1], P .. 'm:' .. it[1]
  if not call('ZSCORE', P .. 'l:' .. it[2] .. ':' .. INSTANCE, id) then return 0 end
  local m = state_of(id, 'a')
  if not m or not WAITING[m[1]] then return 0 end
  call('HSET', key, 's', QUEUED, 'j', table.concat(it[4], ' '))
  name_segments(id, it[3], it[4], m[7])
  return 1
end
