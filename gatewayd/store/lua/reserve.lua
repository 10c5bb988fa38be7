-- Places in an even sequence that all processes share (generic cell rate algorithm, times in ms with fractions).
-- item    bucket slots interval(ms) burst(ms) patience(ms)
-- reply   {taken(0|1), the time of the first place, as text}
-- holds   nothing is taken where the first place is further away than patience
local function each(it)
  local key = P .. 'rate:' .. it[1]
  local first = math.max(tonumber(call('GET', key) or '0'), NOW - it[4])
  if first - NOW > it[5] then return {0, string.format('%.3f', first)} end
  local after = first + it[2] * it[3]
  call('SET', key, string.format('%.3f', after), 'PX', math.ceil(math.max(after - NOW, 0) + it[4] + 1000))
  return {1, string.format('%.3f', first)}
end
