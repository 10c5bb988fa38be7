-- Bring forward what was put off because its way was busy, and what is held or waits as uncertain, for another look at
-- it; a failed try keeps its back-off, unless `every` is 1.
-- item    channel limit from(ms, as text) skip(so many of that moment were looked at) every(0|1)
-- reply   {from, skip} for the next call; {'', 0} where nothing is left
local read = RECORD(state, tries)

local function each(channel, limit, from, skip, every)
  local queue = KEY.queue .. channel
  local rows = call('ZRANGEBYSCORE', queue, from, '+inf', 'WITHSCORES', 'LIMIT', skip, limit)
  if #rows == 0 then return {'', 0} end
  for i = 1, #rows, 2 do
    local id, due = rows[i], rows[i + 1]
    if due ~= from then from, skip = due, 0 end
    local m = read(id)
    local is_new = m and (m.tries or '0') == '0'
    if m and (m.state == UNCERTAIN or m.state == QUEUED and (every == 1 or is_new)) then
      call('ZADD', queue, now, id)
    else
      skip = skip + 1
    end
  end
  return {from, skip}
end
