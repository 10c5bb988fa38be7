-- A status was heard, or given up: the message's next one, if any, stays leased.
-- item    id letter lease dead-reason('' heard) effort(of a dead one: how long and how often it was tried)
--         packed-id label, and of a report that says them accepted-at(ms) age(when it was queued) head untold(where the
--         message stood while it was to be told, and where it does once it was heard); all of them '' where it says none
-- reply   the next report or false
-- holds   what is to be told only ever loses its head, and only to who told it: that it was heard is a fact, whoever
--         holds the lease by now; but the next one is told by the holder alone
local read = RECORD(state, report_tries, accepted_at, more, another)

-- And what the next report and `keep` go by; once.
local function with_more(m)
  if m.label then return m end
  m.label, m.channel, m.callback = label_of(m.key, call('HGET', m.key, FIELD.label))
  return m
end

-- Whoever lost what was told in a range of time counts each time; a longer value would turn the hash into another kind.
local LONGEST = 64

local function remember_between(m, letter, heard)
  local name = FIELD.heard_between .. letter
  local all = call('HGET', m.key, name)
  all = all and all .. ' ' .. heard or heard
  while #all > LONGEST do all = string.match(all, ' (.*)') end
  set(m, name, all)
end

local function clear_tries(m)
  if not m.report_tries then return end
  clear(m, FIELD.report_tries)
  clear(m, FIELD.report_first_try)
end

local function each(id, letter, lease, reason, effort, packed_id, label)
  local m = read(id, FIELD.report .. letter, FIELD.report .. ACCEPTED)
  if not m then
    leave_leases('reports', id)
    return false
  end
  local letters, since, holder = telling(m.to_tell)
  local ours = holder == BOOT .. lease
  if sub(letters, 1, 1) ~= letter then
    if letters == '' then leave_leases('reports', id) end
    return false
  end
  local at = age_of(m)
  -- What was queued while nothing else was to be told says since when with that.
  local past = m.more or since ~= '' and string.format('%d', since - m.accepted_at) or at
  if reason == '' then
    list_heard(letter, m.another, m.accepted_at, packed_id, label)
    if not find(past, ' ', 1, true) then
      set(m, FIELD.report .. letter, past .. ' ' .. at)
    else
      local queued, heard, last, times = string.match(past, '^(%-?%d+) (%-?%d*) ?(%-?%d*) ?(%d*)$')
      if last ~= '' then remember_between(m, letter, last) end
      set(m, FIELD.report .. letter, queued .. ' ' .. heard .. ' ' .. at .. ' ' .. (tonumber(times) or 1) + 1)
    end
  else
    note(m, 'given up', letter .. ' ' .. reason)
    if not m.more then set(m, FIELD.report .. letter, past) end
    call('ZADD', KEY.dead, now, id .. '|' .. letter)
    call('HSET', KEY.dead_why, id .. '|' .. letter, with_more(m).label .. '|' .. reason .. effort)
    -- A person has 30 days to look at it; what is older goes, a few at a time.
    keep(m, 2592000)
    for _, old in ipairs(call('ZRANGEBYSCORE', KEY.dead, '-inf', NOW - 2592000000, 'LIMIT', 0, 10)) do
      call('ZREM', KEY.dead, old)
      call('HDEL', KEY.dead_why, old)
    end
  end
  local left = sub(letters, 2)
  if left == '' then
    clear_tries(m)
    m.to_tell = ''
    set_standing(m)
    if since == '' and FINAL[m.state] then clear(m, FIELD.old_since) end
    save(m)
    leave_leases('reports', id)
    if not ours then call('ZREM', KEY.queue .. 'reports', id) end
    -- All was heard, and more is not to come: no need to keep it for the reports' sake any more.
    if reason == '' and FINAL[m.state] and goes_sooner()
      and call('TTL', KEY.message .. id) <= tonumber(KEEP) then
      call('EXPIRE', KEY.message .. id, RETENTION)
    end
    return false
  end
  m.to_tell = as_telling(left, now, holder)
  set_standing(m)
  clear_tries(m)
  save(m)
  -- It has its 48 hours from now on, however long the one before took.
  keep(with_more(m), KEEP)
  return ours and next_report(id, left, m.label, m.channel, m.callback, now, '0', '0', lease)
end
