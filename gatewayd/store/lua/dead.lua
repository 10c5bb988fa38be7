-- Queue a message's dead reports again, or forget them.
-- item    id retry(0|1)
-- reply   how many there were
local function each(it)
  local id, n, again = it[1], 0, ''
  for letter in string.gmatch('adfrcou', '%a') do
    local member = id .. '|' .. letter
    if call('ZREM', P .. 'dead', member) == 1 then
      call('HDEL', P .. 'deadwhy', member)
      n, again = n + 1, again .. letter
    end
  end
  local m = n > 0 and state_of(id)
  if m then
    note(id, it[2] == 1 and 'told to retry' or 'told to drop', again)
    if it[2] == 1 then
      local fields = {}
      tell(id, m[5], again, false, fields)
      call('HSET', P .. 'm:' .. id, unpack(fields))
      keep(id, m[6], KEEP)
    end
  end
  return n
end
