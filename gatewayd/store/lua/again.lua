-- Put a leased message back for another try.
-- item    id channel due(ms) reason counts(0|1) uncertain(0|1) route progress marked(ms, 0 for none)
-- reply   1, or 0 where it is not ours or evidence settled it meanwhile
-- holds   an uncertain message that bears its old mark, `marked`, still is uncertain: nothing was written since
local function each(it)
  local id = it[1]
  if call('ZREM', P .. 'l:' .. it[2] .. ':' .. INSTANCE, id) == 0 then return 0 end
  local m = state_of(id, 'k', 'a', 'r')
  if not m or not WAITING[m[1]] then return 0 end
  local key, address = P .. 'm:' .. id, m[8] or ''
  local uncertain = it[6] == 1 or (it[9] > 0 and tonumber(m[7] or '0') == it[9])
  call('HSET', key, 's', uncertain and UNCERTAIN or QUEUED)
  if it[7] ~= '' then call('HSET', key, 'r', it[7]) end
  if uncertain and it[2] == 'sms' then
    -- Its answer may never come, and then only the number tells that a receipt is about it.
    local lost = P .. 'u:' .. address
    if call('ZADD', lost, 'NX', now, id) == 1 then
      -- That receipt may be here already: it is looked at next, before another copy can leave.
      for _, payload in ipairs(call('ZRANGE', P .. 'parked', 0, 499)) do
        if find(payload, address, 1, true) then call('ZADD', P .. 'parked', now, payload) end
      end
    end
    call('EXPIRE', lost, RETENTION)
  end
  if #it[8] > 0 then
    call('HSET', key, 'j', table.concat(it[8], ' '))
    -- Without a route of its own it is the one that the message was marked for.
    name_segments(id, it[7] ~= '' and it[7] or m[9] or '', it[8], address)
  end
  if it[5] == 1 then
    call('HINCRBY', key, 'n', 1)
    call('HSETNX', key, 'f', now)
  end
  local event = it[6] == 1 and 'uncertain' or 'again'
  local last = it[5] == 0 and call('LINDEX', P .. 't:' .. id, -1)
  -- What is put off again and again for the same reason says so once.
  if not last or string.match(last, '^%d+|(.*)$') ~= event .. '|' .. it[4] then note(id, event, it[4]) end
  call('ZADD', P .. 'q:' .. it[2], it[3], id)
  return 1
end
