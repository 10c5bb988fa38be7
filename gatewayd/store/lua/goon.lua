-- A late answer said what the SMSC has of an uncertain message: put it back, due now, behind its segments that are there.
-- item    id channel route written(ms) reason remote-ids
-- reply   1, or 0 where it isn't waiting in that uncertainty any more
-- holds   a mark after `written` is another copy on the wire, of which this answer says nothing
local function each(it)
  local id, key = it[1], P .. 'm:' .. it[1]
  local m = state_of(id)
  if not m or m[1] ~= UNCERTAIN then return 0 end
  local f = call('HMGET', key, 'r', 'k', 'a')
  if f[1] ~= it[3] or tonumber(f[2] or '0') > it[4] then return 0 end
  if not go_on(id, m[3], it[2]) then return 0 end
  if #it[6] > 0 then call('HSET', key, 'j', table.concat(it[6], ' ')) end
  name_segments(id, it[3], it[6], f[3])
  note(id, 'again', it[5])
  return 1
end
