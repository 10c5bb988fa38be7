-- Lease messages that have a status to tell.
-- item    limit lease(the name of the first one's is this and 1)
-- reply   a list of reports; of one that can't be told, for its message says no more whose it is, the id alone
-- holds   a status is given up after 48 hours in which somebody could tell it: where all processes, or Redis, were away
--         for long, these begin anew, and its tries
local AWAY = 12 * 3600000 -- ms
local UNREADABLE = 60000 -- ms until one that can't be told is looked at again
local read = RECORD(state, label, report_tries, more)

local function begin_anew(m)
  if m.report_tries then
    clear(m, FIELD.report_tries)
    clear(m, FIELD.report_first_try)
    m.report_tries, m.more = nil, nil
  end
  keep(record(m.id), KEEP)
end

local function each(limit, lease)
  local queue, got = KEY.queue .. 'reports', {}
  local found = call('ZRANGEBYSCORE', queue, '-inf', now, 'WITHSCORES', 'LIMIT', 0, limit)
  for i = 1, #found, 2 do
    local id, due = found[i], tonumber(found[i + 1])
    call('ZREM', queue, id)
    local m = read(id, FIELD.report_first_try)
    if m and m.to_tell ~= '' and not m.channel then
      -- It holds up no other; another version may know more.
      call('ZADD', queue, NOW + UNREADABLE, id)
      got[#got + 1] = id
    elseif m and m.to_tell ~= '' then
      local letters, since, name = telling(m.to_tell), since_when(id, m.to_tell) or now, lease .. '.' .. (i + 1) / 2
      if NOW - due >= AWAY then
        since = now
        begin_anew(m)
      end
      enter_leases('reports', id)
      m.to_tell = as_telling(letters, since, BOOT .. name)
      set_standing(m)
      save(m)
      got[#got + 1] = next_report(id, letters, m.label, m.channel, m.callback, since, m.report_tries, m.more, name)
    end
  end
  return got
end
