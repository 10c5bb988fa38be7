-- The latest message that went to a number, by the number's keyed hash.
local function latest_to(number)
  local bytes = listed(KEY.latest, number, 24)
  return bytes and bytes ~= string.rep('\0', 16) and unpacked(bytes) or call('GET', KEY.latest_to .. number)
end

-- It leads to this message no more.
local function forget_latest(number, id)
  local bucket, tag = bucket_of(number)
  local today, ours = math.floor(NOW / DAY), tag .. packed(id)
  for day = today, today - math.ceil(RETENTION / 86400), -1 do
    local key = KEY.latest .. day .. ':' .. bucket
    local list = call('GET', key)
    for _, at in ipairs(list and entries_of(list, ours, 24) or {}) do
      call('SETRANGE', key, at - 1, string.rep('\0', 24))
    end
  end
  if call('GET', KEY.latest_to .. number) == id then call('DEL', KEY.latest_to .. number) end
end
