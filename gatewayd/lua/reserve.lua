-- Places in an even sequence that all processes share (generic cell rate algorithm, times in ms with fractions).
-- item    bucket slots interval(ms) burst(ms)
-- reply   the time of the first place, as text
local function each(it)
  local key = P .. 'rate:' .. it[1]
  local first = math.max(tonumber(call('GET', key) or '0'), NOW - it[4])
  local after = first + it[2] * it[3]
  call('SET', key, string.format('%.3f', after), 'PX', math.ceil(math.max(after - NOW, 0) + it[4] + 1000))
  return string.format('%.3f', first)
end
