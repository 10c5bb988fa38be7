-- Parked receipts whose next look-up is due. Each look-up doubles the wait; after `limit` ms a receipt is an orphan.
-- item    count limit(ms)
-- reply   {receipts to look up, orphans}
local function each(it)
  local due, orphans = {}, {}
  for _, payload in ipairs(call('ZRANGEBYSCORE', P .. 'parked', '-inf', now, 'LIMIT', 0, it[1])) do
    local born = tonumber(string.match(payload, '^(%d+)|')) or 0
    if NOW - born > it[2] then
      call('ZREM', P .. 'parked', payload)
      orphans[#orphans + 1] = payload
    else
      call('ZADD', P .. 'parked', NOW + math.max(NOW - born, 2000), payload)
      due[#due + 1] = payload
    end
  end
  return {due, orphans}
end
