-- The latest message that went to a number, by any of its hashes; or to any of several numbers.
-- item    number-hashes
-- reply   its id, or ''
local function each(numbers)
  local ids, seen = {}, {}
  for _, number in ipairs(numbers) do
    local id = latest_to(number)
    if id and not seen[id] then
      seen[id] = true
      ids[#ids + 1] = id
    end
  end
  if #ids < 2 then return ids[1] or '' end
  local latest, written_at = '', -1
  for _, id in ipairs(ids) do
    local m = record(id)
    local at = m and math.max(queued_at(m, 'a'), WAITING[m.state] and m.marked_at or 0,
      tonumber(call('HGET', m.key, FIELD.sent_at) or '0'))
    if at and at > written_at then latest, written_at = id, at end
  end
  return latest
end
