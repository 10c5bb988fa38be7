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
  if n > 0 and call('EXISTS', P .. 'm:' .. id) == 1 then
    note(id, it[2] == 1 and 'told to retry' or 'told to drop', again)
    if it[2] == 1 then
      tell(id, again, false)
      keep(id, KEEP)
    end
  end
  return n
end
