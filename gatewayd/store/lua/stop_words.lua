-- What the scripts of the stop list share (stop_list.py says what its keys hold).
-- KEYS[1]  the prefix of every key, with its hash tag
-- ARGV     now (ms) | items (msgpack) | ...
-- Result   one reply for each item, in order
local P, call, match = KEYS[1], redis.call, string.match
local clock = call('TIME')
local NOW = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function scope_of(label, channel) return label .. ':' .. channel end

-- When a stop began, in ms; nil for none, and for one of 0.1.0, of which that is not known.
local function began(key)
  local value = call('GET', key)
  return value and tonumber(match(value, '^(%d+)|')), value
end

-- The keyed hashes of these players, and of the addresses that are on the list on their account.
local function with_addresses(scope, hashes)
  local all = {}
  for _, hash in ipairs(hashes) do
    all[#all + 1] = hash
    for _, address in ipairs(call('SMEMBERS', P .. 'stopped-of:' .. scope .. ':' .. hash)) do all[#all + 1] = address end
  end
  return all
end
