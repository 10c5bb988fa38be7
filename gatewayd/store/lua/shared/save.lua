-- What a script changes of a message is written in one go: one message at a time, in two lists that all of a call use.
local changing, changes, changed, gone, cleared = nil, {}, 0, {}, 0

local function change(m)
  changing, changed, cleared = m, 0, 0
end

local function set(m, name, value)
  if m ~= changing then change(m) end
  changes[changed + 1], changes[changed + 2] = name, value
  changed = changed + 2
end

-- For what is there: Redis looks at the whole hash for a field that is not.
local function clear(m, name)
  if m ~= changing then change(m) end
  cleared = cleared + 1
  gone[cleared] = name
end

-- The segments that were taken of it.
local function clear_taken(m, count)
  clear(m, FIELD.segments_taken)
  clear(m, FIELD.old_segments)
  for i = 1, count do clear(m, FIELD.segments_taken .. i) end
end

local function save(m)
  if m ~= changing then return end
  if changed > 0 then call('HSET', m.key, unpack(changes, 1, changed)) end
  if cleared > 0 then call('HDEL', m.key, unpack(gone, 1, cleared)) end
  change(nil)
end
