-- What this process holds of each kind, and holds no more: all of a call enter and leave the set at once.
local entering, leaving = {}, {}
local function enter_leases(kind, id)
  local ids = entering[kind]
  if ids then ids[#ids + 1] = id else entering[kind] = {id} end
end

local function leave_leases(kind, id)
  local ids = leaving[kind]
  if ids then ids[#ids + 1] = id else leaving[kind] = {id} end
end

at_end[#at_end + 1] = function()
  local is_entered, why = true, nil
  for kind, ids in pairs(entering) do
    local is_done, fault = pcall(call, 'SADD', KEY.leases .. kind .. ':' .. INSTANCE, unpack(ids))
    if not is_done then
      -- In no set and no queue nobody would ever look for it.
      is_entered, why = false, fault
      for _, id in ipairs(ids) do call('ZADD', KEY.queue .. kind, now, id) end
    end
  end
  for kind, ids in pairs(leaving) do call('SREM', KEY.leases .. kind .. ':' .. INSTANCE, unpack(ids)) end
  if not is_entered then error(why, 0) end
end
