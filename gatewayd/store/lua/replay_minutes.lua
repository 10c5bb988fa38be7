-- Tell again what was heard in a time range, by the lists of the minutes in which it was.
-- item    labels from(ms) to(ms) minute(of the first list) first(number of its first message, over all labels) most(messages)
--         began(ms; 0 with the first step)
-- reply   {how many statuses were queued, the minute at which to go on or 0 after the last one, its first message, began}
-- holds   each status is queued once, however often it was heard
local LOOKS = 5000

local function replay_some_of(key, label, from, upto, began, minute, first, most)
  local list, queued, seen = call('GETRANGE', key, first * 16, (first + most) * 16 - 1), 0, {}
  for at = 1, #list, 16 do
    local id = unpacked(sub(list, at, at + 15))
    if not seen[id] then
      seen[id] = true
      queued = queued + replay_one(id, label, from, upto, began, minute * 60000, (minute + 1) * 60000)
    end
  end
  return queued
end

local function each(labels, from, upto, minute, first, most, began)
  if began == 0 then began = NOW end
  local queued, looks = 0, 0
  local last = math.floor((math.min(upto, NOW + 1) - 1) / 60000)
  while minute <= last do
    local passed = 0
    for _, label in ipairs(labels) do
      local key = KEY.heard_in .. minute .. ':' .. label
      local length, skip = call('STRLEN', key) / 16, math.max(first - passed, 0)
      looks = looks + 1
      if length > skip then
        local some = math.min(length - skip, most)
        queued = queued + replay_some_of(key, label, from, upto, began, minute, skip, some)
        most = most - some
        if skip + some < length then return {queued, minute, passed + skip + some, began} end
      end
      passed = passed + length
    end
    minute, first = minute + 1, 0
    if most <= 0 or looks >= LOOKS then break end
  end
  return {queued, minute <= last and minute or 0, 0, began}
end
