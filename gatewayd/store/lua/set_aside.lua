-- Set a leased message of a paused label and channel aside, until it is resumed or its deadline comes.
-- item    id channel lease label deadline(ms)
-- reply   1 set aside, 0 back in the queue (no longer paused) or not ours
local function each(id, channel, lease, label, deadline)
  local m = record(id)
  if not m or not holds(m, lease) then return 0 end
  leave_leases(channel, id)
  clear(m, FIELD.lease)
  local scope = label .. '|' .. channel
  local paused = is_paused(scope)
  if paused then
    call('ZADD', KEY.aside .. scope, deadline, id)
    call('SADD', KEY.asides, scope)
    note(m, 'paused', '')
  else
    call('ZADD', KEY.queue .. channel, now, id)
  end
  save(m)
  return paused and 1 or 0
end
