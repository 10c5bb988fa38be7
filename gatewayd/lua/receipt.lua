-- A delivery receipt: find its message by any of the id's forms, fold its segment in.
-- item    smsc ids event('' settles nothing) detail number-hashes park(0|1) payload lease-report(0|1) by-number(0|1)
-- reply   {result, job or false, message id}: moved ignored parked unknown
-- holds   a receipt that finds no message is kept, under each form of its id, until the submit's answer comes; the
--         first final receipt of a segment wins; with `by-number` an uncertain message to that number is taken for it
local function each(it)
  local smsc, numbers = it[1], it[5]
  local id, index, address
  -- The number may have been named under a previous key.
  local function same(name)
    if #numbers == 0 or name == '' then return true end
    for _, number in ipairs(numbers) do if number == name then return true end end
    return false
  end
  for _, remote in ipairs(it[2]) do
    local v = call('GET', P .. 'r:' .. smsc .. ':' .. remote)
    if v then
      id, index, address = string.match(v, '^([^|]*)|(%d+)|(.*)$')
      -- Ids of other forms can collide: the number must be the same where both are known.
      if same(address) then break end
      id, index = nil, nil
    end
  end
  if not id and it[9] == 1 then
    local latest
    for _, number in ipairs(numbers) do latest = latest or call('GET', P .. 'n:' .. number) end
    if latest then
      local f = call('HMGET', P .. 'm:' .. latest, 's', 'r', 'k')
      -- What came before this message was written is about an earlier one.
      local born = tonumber(string.match(it[7], '^(%d+)|')) or NOW
      if f[1] == UNCERTAIN and f[2] == smsc and tonumber(f[3] or '0') <= born then id = latest end
    end
  end
  local m = id and state_of(id, 'g')
  if not m then
    if it[6] == 0 then return {'unknown', false, ''} end
    for _, remote in ipairs(it[2]) do
      local p = P .. 'p:' .. smsc .. ':' .. remote
      call('LREM', p, 0, it[7])
      call('RPUSH', p, it[7])
      call('EXPIRE', p, 7200)
    end
    call('ZADD', P .. 'parked', 'NX', NOW + 10000, it[7])
    return {'parked', false, ''}
  end
  local waited = call('ZREM', P .. 'parked', it[7]) == 1
  local event, key = it[3], P .. 'm:' .. id
  local g = m[7]
  if event ~= '' and g and #g > 1 then
    -- By its number it names no segment: asked for again after a lost reply, it must not count for the next one too.
    if not index and not waited then return {'ignored', false, id} end
    index = tonumber(index) or find(g, '.', 1, true) or 1
    if index > #g or sub(g, index, index) ~= '.' then
      note(id, 'receipt (again)', it[4])
      return {'ignored', false, id}
    end
    local letter = OUTCOME[event]
    g = sub(g, 1, index - 1) .. letter .. sub(g, index + 1)
    call('HSET', key, 'g', g)
    note(id, 'receipt', 'segment ' .. index .. ' of ' .. #g .. ': ' .. it[4])
    -- One segment that did not arrive settles the whole; delivery needs all of them.
    if letter == 'd' and find(g, '[^d]') then return {'ignored', false, id} end
  else
    note(id, 'receipt', it[4])
  end
  if event == '' then return {'ignored', false, id} end
  local new, letters = cell(m[1], m[2], event)
  if not new then return {'ignored', false, id} end
  local changed, following = move(id, m, new, letters, it[8] == 1)
  return {changed and 'moved' or 'ignored', following, id}
end
