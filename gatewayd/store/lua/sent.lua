-- The next hop took it.
-- item    id channel route detail remote-ids lease-report(0|1) expects-receipts(0|1)
-- reply   {committed, parked receipts, job or false}
-- holds   it is a fact, so it counts even where the lease was lost meanwhile; the transition table makes it idempotent
local function each(it)
  local id = it[1]
  call('ZREM', P .. 'l:' .. it[2] .. ':' .. INSTANCE, id)
  local m = state_of(id, 'a', 'g')
  if not m then return {0, {}, false} end
  local new, letters = cell(m[1], m[2], 'sent')
  local changed, following, fields = false, false, {'e', now, 'r', it[3]}
  local g, parked = m[8], {}
  if #it[5] > 1 and (not g or #g ~= #it[5]) then add(fields, 'g', string.rep('.', #it[5])) end
  if #it[5] == 1 and g then call('HDEL', P .. 'm:' .. id, 'g') end
  if new then
    changed, following = move(id, m, new, letters, it[6] == 1, fields)
    note(id, 'sent', it[4] == '' and it[3] or (it[3] .. ' ' .. it[4]))
  end
  if not changed then call('HSET', P .. 'm:' .. id, unpack(fields)) end
  name_segments(id, it[3], it[5], m[7])
  for _, remote in ipairs(it[5]) do
    local p = P .. 'p:' .. it[3] .. ':' .. remote
    local waiting = call('LRANGE', p, 0, -1)
    for _, payload in ipairs(waiting) do parked[#parked + 1] = payload end
    if #waiting > 0 then call('DEL', p) end
  end
  return {changed and 1 or 0, parked, following}
end
