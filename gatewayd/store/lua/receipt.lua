-- A delivery receipt: find its message by any of the id's forms, fold its segment in.
-- item    smsc ids event('' settles nothing) detail number-hashes park(0|1) payload lease-report(0|1) by-number(0|1)
-- reply   {result, job or false, message id}: moved ignored parked unknown
-- holds   a receipt that finds no message is kept, under each form of its id, until the submit's answer comes; the
--         first final receipt of a segment wins; or else it is about the oldest uncertain one to that number, and
--         then about the segment whose answer was lost: that one was taken, so the message goes on behind it, or is sent
local function each(it)
  local smsc, numbers = it[1], it[5]
  local id, index, address
  -- The number may have been named under a previous key.
  local function same(name)
    if #numbers == 0 or name == '' then return true end
    for _, number in ipairs(numbers) do if number == name then return true end end
    return false
  end
  local stranger, place, ours
  local function named(key)
    local v = call('GET', key)
    if v then id, index, address = string.match(v, '^([^|]*)|(%d+)|(.*)$') end
    return v
  end
  for rank, remote in ipairs(it[2]) do
    local key = P .. 'r:' .. smsc .. ':' .. remote
    if named(key) then
      -- Ids of other forms can collide: the message to this number goes first.
      if same(address) then break end
      -- So can ids of another node, or of a counter that began anew: an earlier message to this number bears it, too.
      local earlier
      for _, number in ipairs(numbers) do earlier = earlier or named(key .. ':' .. number) end
      if earlier then break end
      if rank == 1 then stranger, place = id, index end
      id, index = nil, nil
    end
  end
  if not id then
    -- What came before a message was written is about an earlier one.
    local born = tonumber(string.match(it[7], '^(%d+)|')) or NOW
    -- One that is here for the first time comes now, whatever the other host's clock is off by.
    if NOW - born < 1000 then born = NOW end
    local patient = it[9] == 1 and NOW - born >= 10000
    local function about(candidate, states)
      local f = call('HMGET', P .. 'm:' .. candidate, 's', 'r', 'k')
      if states[f[1]] and f[2] == smsc and tonumber(f[3] or '0') <= born then id = candidate end
      return WAITING[f[1]]
    end
    for _, number in ipairs(numbers) do
      local u, latest = P .. 'u:' .. number, call('GET', P .. 'n:' .. number)
      ours = ours or latest
      -- While a later one's answer is awaited, it may be that one's.
      local awaited = latest and call('HGET', P .. 'm:' .. latest, 's') == UNCERTAIN and not call('ZSCORE', u, latest)
      for _, candidate in ipairs((patient or not awaited) and not id and call('ZRANGE', u, 0, 99) or {}) do
        if not about(candidate, WAITING) then call('ZREM', u, candidate) end
        if id then break end
      end
      if patient and latest and not id then about(latest, {[UNCERTAIN] = true}) end
    end
  end
  -- Carriers write numbers as they like. An id's likeliest form is that message's whatever the number, where it is none
  -- that we wrote to: its only form at once, one of several after the right one had its time to come. Under a less likely
  -- one, it is somebody else's.
  local sure = stranger and not ours and (#it[2] == 1 or it[9] == 1)
  if not id and sure and not FINAL[call('HGET', P .. 'm:' .. stranger, 's')] then id, index = stranger, place end
  local m = id and state_of(id, 'g', 'j')
  local letter = OUTCOME[it[3]]
  local bad = letter and letter ~= 'd'
  -- A part of it failed while the rest is being submitted: `accepted`, which goes before that, is for all of it.
  local early = bad and m and m[7] and #m[7] > 1 and WAITING[m[1]] and in_work(id, m[3], m[4])
  if not m or early then
    if it[6] == 0 then return {'unknown', false, ''} end
    for _, remote in ipairs(it[2]) do
      local p = P .. 'p:' .. smsc .. ':' .. remote
      call('LREM', p, 0, it[7])
      call('RPUSH', p, it[7])
      call('EXPIRE', p, 7200)
    end
    call('ZADD', P .. 'parked', 'NX', NOW + 2000, it[7])
    return {'parked', false, ''}
  end
  call('ZREM', P .. 'parked', it[7])
  local event, key = it[3], P .. 'm:' .. id
  local g, awaited = m[7], segments_in(m[8]) + 1
  local shown = not index and not bad and m[1] == UNCERTAIN and g
  local goes_on = shown and awaited < #g
  local whole = shown and awaited == #g and sub(g, awaited) == '.'
  if not index then
    -- Found by its number it names no segment. Told or looked up again, it must not count for the next one too.
    index = g and find(g, '.', awaited, true) or g and find(g, '.', 1, true) or 1
    local name = table.concat({id, index, call('HGET', key, 'a') or ''}, '|')
    call('SET', P .. 'r:' .. smsc .. ':' .. it[2][1], name, 'NX', 'EX', RETENTION)
  end
  if goes_on and go_on(id, m[3], m[4]) then
    call('HSET', key, 'j', (m[8] and m[8] .. ' ' or '') .. it[2][1])
    m[1] = QUEUED
    note(id, 'again', 'a receipt shows that segment ' .. index .. ' was taken')
  end
  if event ~= '' and g and #g > 1 then
    index = tonumber(index)
    if index > #g or sub(g, index, index) ~= '.' then
      note(id, 'receipt (again)', it[4])
      return {'ignored', false, id}
    end
    g = sub(g, 1, index - 1) .. letter .. sub(g, index + 1)
    call('HSET', key, 'g', g)
    note(id, 'receipt', 'segment ' .. index .. ' of ' .. #g .. ': ' .. it[4])
    -- One segment that did not arrive settles the whole; delivery needs all of them.
    if letter == 'd' and find(g, '[^d]') then
      -- Its last segment was taken, so all were: no other copy is to leave.
      local sent, told = cell(m[1], m[2], 'sent')
      if not whole or not sent then return {'ignored', false, id} end
      local changed, following = move(id, m, sent, told, it[8] == 1, {'e', now})
      return {changed and 'moved' or 'ignored', following, id}
    end
  else
    note(id, 'receipt', it[4])
  end
  if event == '' then return {'ignored', false, id} end
  local new, letters = cell(m[1], m[2], event)
  if not new then return {'ignored', false, id} end
  -- What ends with segments of which nothing is known was not taken as a whole.
  if WAITING[m[1]] and g and #g > 1 and find(g, '.', 1, true) then letters = string.gsub(letters, 'a', '') end
  local changed, following = move(id, m, new, letters, it[8] == 1)
  return {changed and 'moved' or 'ignored', following, id}
end
