-- A late answer said what the SMSC has of an uncertain message: put it back, due now, behind its segments that are there.
-- item    id channel route written(ms) reason remote-ids
-- reply   1, or 0 where it isn't waiting in that uncertainty any more
-- holds   a mark after `written` is another copy on the wire, of which this answer says nothing; one that is leased is
--         being sent or ended right now
local function each(it)
  local id, key = it[1], P .. 'm:' .. it[1]
  local m = state_of(id)
  if not m or m[1] ~= UNCERTAIN then return 0 end
  local f = call('HMGET', key, 'r', 'k', 'a')
  if f[1] ~= it[3] or tonumber(f[2] or '0') > it[4] then return 0 end
  local queue = P .. 'q:' .. it[2]
  if call('ZSCORE', queue, id) then
    call('ZADD', queue, now, id)
  elseif not call('ZSCORE', P .. 'x:' .. m[3] .. '|' .. it[2], id) then
    return 0
  end
  call('HSET', key, 's', QUEUED)
  call('ZREM', P .. 'u:' .. (f[3] or ''), id)
  if #it[6] > 0 then call('HSET', key, 'j', table.concat(it[6], ' ')) end
  for i, remote in ipairs(it[6]) do
    call('SET', P .. 'r:' .. it[3] .. ':' .. remote, id .. '|' .. i .. '|' .. (f[3] or ''), 'EX', RETENTION)
  end
  note(id, 'again', it[5])
  return 1
end
