-- What stands in the lists of shared/list_entry.lua.

-- Where what has this hash (20 hexadecimal digits of it, or more) stands: the bucket, and its 8 bytes.
local function place_of(hash)
  local tag = struct.pack('>I4I4', tonumber(sub(hash, 1, 8), 16), tonumber(sub(hash, 9, 16), 16))
  return tonumber(sub(hash, 17, 19), 16) % 2048, tag
end

-- The bucket of a name and its 8 bytes: for hot paths Python says them (lists.py).
local function bucket_of(name)
  return place_of(redis.sha1hex(name))
end

-- The positions of the entries of this name in a list whose entries have so many bytes.
local function entries_of(list, tag, size)
  local found, from = {}, 1
  while true do
    local at = find(list, tag, from, true)
    if not at then return found end
    if (at - 1) % size == 0 then found[#found + 1], from = at, at + size else from = at + 1 end
  end
end

-- Visit what stands behind the name of each entry within retention, the latest first. `visit` says how many more of the
-- same day it wants to see: 0 for none, nil for all there are, and those of earlier days.
-- Result: whether it had what it wanted.
local function each_listed(family, bucket, tag, size, visit)
  local day_now = math.floor(NOW / DAY)
  for day = day_now, day_now - math.ceil(RETENTION / 86400), -1 do
    local list = call('GET', family .. day .. ':' .. bucket)
    local positions, more = list and entries_of(list, tag, size) or {}, nil
    for i = #positions, 1, -1 do
      more = visit(sub(list, positions[i] + 8, positions[i] + size - 1))
      if more == 0 then return true end
    end
    if more then return true end
  end
  return false
end

-- The bytes behind the name of the latest entry within retention; nil for none.
local function listed(family, name, size)
  local found
  local bucket, tag = bucket_of(name)
  each_listed(family, bucket, tag, size, function(bytes)
    found = bytes
    return 0
  end)
  return found
end
