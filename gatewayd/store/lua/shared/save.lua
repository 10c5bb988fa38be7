-- What a script changes of a message is written in one go.
local function set(m, ...)
  for i = 1, select('#', ...) do m.changes[#m.changes + 1] = (select(i, ...)) end
end

local function clear(m, ...)
  for i = 1, select('#', ...) do m.gone[#m.gone + 1] = (select(i, ...)) end
end

local function save(m)
  if #m.changes > 0 then call('HSET', KEY.message .. m.id, unpack(m.changes)) end
  if #m.gone > 0 then call('HDEL', KEY.message .. m.id, unpack(m.gone)) end
  m.changes, m.gone = {}, {}
end
