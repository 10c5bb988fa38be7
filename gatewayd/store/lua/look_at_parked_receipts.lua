-- Parked receipts whose next look-up is due: 2, 12, 30, 60 and 300 s after they came. What comes later finds them by
-- their ids, when the submit's answer is stored; after `limit` ms, or where there are more than `most`, they are orphans.
-- No look is left out because the clock was set on, or all slept: what missed one gets it, and a minute until the last.
-- item    count limit(ms) most
-- reply   {receipts to look up, orphans}
local LOOKS = {12000, 30000, 60000, 300000}

local function each(count, limit, most)
  local due, orphans = {}, {}
  local found = call('ZRANGEBYSCORE', KEY.parked, '-inf', now, 'WITHSCORES', 'LIMIT', 0, count)
  for n = 1, #found, 2 do
    local payload, planned = found[n], tonumber(found[n + 1])
    local born = tonumber(string.match(payload, '^(%d+)|')) or 0
    local age = NOW - born
    if age >= limit and planned >= born + limit then
      call('ZREM', KEY.parked, payload)
      orphans[#orphans + 1] = payload
    else
      local next_look = age < limit and limit or age + 60000
      for i = #LOOKS, 1, -1 do if age < LOOKS[i] then next_look = LOOKS[i] end end
      -- One that was born in the future, by a clock that was set back, is no younger than one of now.
      call('ZADD', KEY.parked, math.min(born, NOW) + next_look, payload)
      due[#due + 1] = payload
    end
  end
  local over = math.min(call('ZCARD', KEY.parked) - most, count)
  -- Those that were looked up most often stand last.
  for _, payload in ipairs(over > 0 and call('ZREVRANGE', KEY.parked, 0, over - 1) or {}) do
    call('ZREM', KEY.parked, payload)
    orphans[#orphans + 1] = payload
  end
  return {due, orphans}
end
