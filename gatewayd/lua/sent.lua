-- The next hop took it.
-- item    id channel route detail remote-ids lease-report(0|1) expects-receipts(0|1)
-- reply   {committed, parked receipts, job or false}
-- holds   it is a fact, so it counts even where the lease was lost meanwhile; the transition table makes it idempotent
local function each(it)
  local id = it[1]
  call('ZREM', P .. 'l:' .. it[2] .. ':' .. INSTANCE, id)
  local m = state_of(id)
  if not m then return {0, {}, false} end
  local key = P .. 'm:' .. id
  local new, letters = cell(m[1], m[2], 'sent')
  local changed, leased = false, false
  if new then
    changed, leased = move(id, m, new, letters, it[6] == 1)
    note(id, 'sent', it[4] == '' and it[3] or (it[3] .. ' ' .. it[4]))
  end
  call('HSET', key, 'e', now, 'r', it[3])
  local address, parked = call('HGET', key, 'a') or '', {}
  if #it[5] > 0 then
    local g = call('HGET', key, 'g')
    if #it[5] > 1 and (not g or #g ~= #it[5]) then call('HSET', key, 'g', string.rep('.', #it[5])) end
    if #it[5] == 1 and g then call('HDEL', key, 'g') end
  end
  for i, remote in ipairs(it[5]) do
    call('SET', P .. 'r:' .. it[3] .. ':' .. remote, id .. '|' .. i .. '|' .. address, 'EX', RETENTION)
    local p = P .. 'p:' .. it[3] .. ':' .. remote
    for _, payload in ipairs(call('LRANGE', p, 0, -1)) do parked[#parked + 1] = payload end
    call('DEL', p)
  end
  return {changed and 1 or 0, parked, leased and job(id)}
end
