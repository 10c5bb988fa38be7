-- Tell again what was told of one message in a time range: the caller lost it.
-- item    id label('' any) from(ms) to(ms)
-- reply   how many statuses were queued
local function each(it)
  local id, m = it[1], P .. 'm:' .. it[1]
  local f, fields = call('HMGET', m, 'l', 'p', 'w'), {}
  if not f[1] or (it[2] ~= '' and f[1] ~= it[2]) then return 0 end
  local letters, waiting = '', f[2] or ''
  for _, line in ipairs(call('LRANGE', P .. 't:' .. id, 0, -1)) do
    local at, letter = string.match(line, '^(%d+)|told|(%a)$')
    if at and tonumber(at) >= it[3] and tonumber(at) < it[4]
      and not find(letters, letter, 1, true) and not find(waiting, letter, 1, true) then
      letters = letters .. letter
    end
  end
  if letters == '' then return 0 end
  note(id, 'replayed', letters)
  tell(id, waiting, letters, false, fields)
  call('HSET', m, unpack(fields))
  keep(id, f[3], KEEP)
  return #letters
end
