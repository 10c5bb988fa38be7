-- For a replay it is found by the minute in which it was heard: once for a message whose `accepted` was heard in it, too.
-- All of a call are listed at once.
local MINUTE, heard_of = math.floor(NOW / 60000), {}
local function list_heard(letter, accepted, accepted_at, packed_id, label)
  local heard = letter ~= ACCEPTED and accepted and string.match(accepted, '^%-?%d+ (%-?%d+)')
  if heard and math.floor((heard + accepted_at) / 60000) == MINUTE then return end
  heard_of[label] = (heard_of[label] or '') .. packed_id
end

at_end[#at_end + 1] = function()
  for label, ids in pairs(heard_of) do
    local key = KEY.heard_in .. string.format('%d', MINUTE) .. ':' .. label
    if call('APPEND', key, ids) == #ids then call('EXPIRE', key, KEEP + 86400) end
  end
end
