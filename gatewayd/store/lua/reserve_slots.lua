-- Slots in an even sequence that all processes share (generic cell rate algorithm, times in ms with fractions).
-- item    bucket slots interval(ms) burst(ms) patience(ms)
-- reply   {taken(0|1), the time of the first slot, ms until then: as text}
-- holds   nothing is taken where the first slot is further away than patience
--         a clock that was set back moves the sequence: it is kept with the moment at which it was written
local function each(bucket, slots, interval, burst, patience)
  local key = KEY.rate .. bucket
  local first, written = string.match(call('GET', key) or '0', '^([^|]+)|?(.*)$')
  local back = math.max((tonumber(written) or 0) - NOW, 0)
  first = math.max(first - back, NOW - burst)
  local when, wait = string.format('%.3f', first), string.format('%.3f', first - NOW)
  if first - NOW > patience then return {0, when, wait} end
  local after = first + slots * interval
  call('SET', key, string.format('%.3f|%s', after, now), 'PX', math.ceil(math.max(after - NOW, 0) + burst + 1000))
  return {1, when, wait}
end
