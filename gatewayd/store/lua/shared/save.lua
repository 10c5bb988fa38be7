-- What a script changes of a message is written in one go.
local function set(m, ...)
  local new, changes = {...}, m.changes
  if not changes then
    m.changes = new
    return
  end
  local at = #changes
  for i = 1, #new do changes[at + i] = new[i] end
end

-- For what is there: Redis looks at the whole hash for a field that is not.
local function clear(m, ...)
  local new, gone = {...}, m.gone
  if not gone then
    m.gone = new
    return
  end
  local at = #gone
  for i = 1, #new do gone[at + i] = new[i] end
end

-- A text that goes on in fields of the same name with 1, 2 ... behind it where it is long.
local function clear_long(m, name, first)
  if not first then return end
  clear(m, name)
  if #first > 60 then for i = 1, 7 do clear(m, name .. i) end end
end

local function save(m)
  if m.changes then call('HSET', KEY.message .. m.id, unpack(m.changes)) end
  if m.gone then call('HDEL', KEY.message .. m.id, unpack(m.gone)) end
  m.changes, m.gone = nil, nil
end
