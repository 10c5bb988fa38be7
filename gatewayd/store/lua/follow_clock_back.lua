-- After the clock was set back: what stands in the future by it comes forward by as much, a part at a time.
-- item    key-behind-the-prefix after(score, as text) back(ms) limit
-- reply   the score that was looked at last, as text; '' where none stands behind it
-- holds   what is put off anew meanwhile may come forward too: it is tried early, once
local function each(rest, after, back, limit)
  local key = P .. rest
  local rows = call('ZRANGEBYSCORE', key, '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, limit)
  local last = rows[#rows]
  if not last then return '' end
  local names = {}
  for i = 1, #rows, 2 do names[rows[i]] = rows[i + 1] end
  for _, name in ipairs(call('ZRANGEBYSCORE', key, last, last)) do names[name] = last end
  for name, score in pairs(names) do call('ZADD', key, 'XX', string.format('%.0f', score - back), name) end
  return last
end
