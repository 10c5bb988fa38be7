-- Parked receipts whose next look-up is due: 2, 12 and 60 s after they came. What comes later finds them by their ids,
-- when the submit's answer is stored; after `limit` ms, or where there are more than `most`, they are orphans.
-- item    count limit(ms) most
-- reply   {receipts to look up, orphans}
local function each(it)
  local count, limit, most = unpack(it)
  local due, orphans = {}, {}
  for _, payload in ipairs(call('ZRANGEBYSCORE', KEY.parked, '-inf', now, 'LIMIT', 0, count)) do
    local born = tonumber(string.match(payload, '^(%d+)|')) or 0
    local age = NOW - born
    if age >= limit then
      call('ZREM', KEY.parked, payload)
      orphans[#orphans + 1] = payload
    else
      call('ZADD', KEY.parked, born + (age < 12000 and 12000 or age < 60000 and 60000 or limit), payload)
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
