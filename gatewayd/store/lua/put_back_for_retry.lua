-- Put a leased message back for another try.
-- item    id channel lease delay(ms) reason counts(0|1) written(0|1: its answer is not known) route segments(remote ids)
-- reply   1, or 0 where it is not ours or evidence settled it meanwhile
-- holds   a message that was uncertain when it was leased, and not marked since, still is: nothing was written
local function each(id, channel, lease, delay, reason, counts, was_written, route, remotes)
  local m = record(id)
  if not m or not holds(m, lease) then return 0 end
  leave_leases(channel, id)
  clear(m, FIELD.lease)
  if not WAITING[m.state] then
    save(m)
    return 0
  end
  local uncertain = was_written == 1 or (m.state == UNCERTAIN and not was_marked(m, lease))
  m.state = uncertain and UNCERTAIN or QUEUED
  set_standing(m)
  if route ~= '' and route ~= m.route then set_copy(m, m.marked_at, route) end
  if uncertain and channel == 'sms' then
    -- Its answer may never come, and then only the number tells that a receipt is about it.
    local unanswered = KEY.unanswered .. m.address_hash
    if call('ZADD', unanswered, 'NX', now, id) == 1 then
      -- That receipt may be here already: it is looked at next, before another copy can leave.
      for _, payload in ipairs(call('ZRANGE', KEY.parked, 0, 499)) do
        if find(payload, m.address_hash, 1, true) then call('ZADD', KEY.parked, now, payload) end
      end
    end
    call('EXPIRE', unanswered, RETENTION)
  end
  -- Without a route of its own it is the one that the message was marked for.
  set_taken(m, route ~= '' and route or m.route or '', remotes, 1)
  if counts == 1 then
    call('HINCRBY', KEY.message .. id, FIELD.tries, 1)
    call('HSETNX', KEY.message .. id, FIELD.first_try, now)
    if was_written == 1 then call('HINCRBY', KEY.message .. id, FIELD.copies, 1) end
  end
  note_while_short(m, was_written == 1 and 'uncertain' or 'again', reason)
  save(m)
  call('ZADD', KEY.queue .. channel, due_in(delay), id)
  return 1
end
