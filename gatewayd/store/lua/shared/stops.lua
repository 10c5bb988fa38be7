-- When a stop began, in ms, and its value; nil for none, and for one of 0.1.0, of which that is not known.
local function stop_began(key)
  local value = call('GET', key)
  return value and tonumber(string.match(value, '^(%d+)|')), value
end

-- The keyed hashes of these players, and of the addresses that are on the list on their account.
local function with_addresses(scope, hashes)
  local all = {}
  for _, hash in ipairs(hashes) do
    all[#all + 1] = hash
    for _, address in ipairs(call('SMEMBERS', KEY.stop_of .. scope .. ':' .. hash)) do all[#all + 1] = address end
  end
  return all
end
