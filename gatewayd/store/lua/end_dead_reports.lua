-- Queue a message's dead reports again, or forget them.
-- item    id retry(0|1)
-- reply   how many there were
local function each(id, retry)
  local letters = ''
  for letter in string.gmatch('adfrcou', '%a') do
    local member = id .. '|' .. letter
    if call('ZREM', KEY.dead, member) == 1 then
      call('HDEL', KEY.dead_why, member)
      letters = letters .. letter
    end
  end
  local m = letters ~= '' and record(id)
  if m and retry == 1 then
    tell_again(m, 'told to retry', letters)
  elseif m then
    note(m, 'told to drop', letters)
    save(m)
  end
  return #letters
end
