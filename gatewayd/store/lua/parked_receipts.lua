-- Parked receipts whose next look-up is due. Each look-up doubles the wait; after `limit` ms a receipt is an orphan.
-- item    count limit(ms)
-- reply   {receipts to look up, orphans}
local function each(it)
  local most, limit = unpack(it)
  local due, orphans = {}, {}
  for _, payload in ipairs(call('ZRANGEBYSCORE', KEY.parked, '-inf', now, 'LIMIT', 0, most)) do
    local born = tonumber(string.match(payload, '^(%d+)|')) or 0
    if NOW - born > limit then
      call('ZREM', KEY.parked, payload)
      orphans[#orphans + 1] = payload
    else
      call('ZADD', KEY.parked, NOW + math.max(NOW - born, 2000), payload)
      due[#due + 1] = payload
    end
  end
  return {due, orphans}
end
