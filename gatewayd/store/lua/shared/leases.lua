-- What this process holds of each kind, and holds no more: all of a call enter and leave the set at once. The moment is
-- negated, so that the latest come first: Redis looks for a score's place from the head on.
local entering, leaving, leased_at = {}, {}, '-' .. now
local function enter_leases(kind, id)
  local members = entering[kind]
  if members then members[#members + 1], members[#members + 2] = leased_at, id else entering[kind] = {leased_at, id} end
end

local function leave_leases(kind, id)
  local ids = leaving[kind]
  if ids then ids[#ids + 1] = id else leaving[kind] = {id} end
end

at_end[#at_end + 1] = function()
  for kind, members in pairs(entering) do call('ZADD', KEY.leases .. kind .. ':' .. INSTANCE, unpack(members)) end
  for kind, ids in pairs(leaving) do call('ZREM', KEY.leases .. kind .. ':' .. INSTANCE, unpack(ids)) end
end
