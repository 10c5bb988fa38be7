-- Give leases of an instance back to their queues: our own former self's, a dead peer's, or one that nobody works on.
-- item    instance limit before(ms, 0 for all) kind('' all) id('' all)
--         unwritten(names of leases, each with its process's, under which nothing left)
-- reply   how many moved; call again until 0
-- holds   marked under a lease under which nothing left, as only its process knows, it is as if it had been put back:
--         the server has forgotten that it was, or took no writes
--         what its acceptor may still have to take back stays leased, unless that was our own former self: a cut-off
--         process is no dead one
--         with `before`, what our successor leased under the same name meanwhile stays its own
--         a lease that was given back is nobody's: who held it, if alive, can't mark or settle the message any more
local function each(instance, limit, before, only_kind, only_id, unwritten)
  local moved, kept = 0, 0
  local may_be_alive = instance ~= INSTANCE or only_id ~= ''
  local function left_nothing(lease)
    for _, name in ipairs(unwritten) do
      if sub(lease, 1, #name + 1) == name .. '+' then return true end
    end
    return false
  end
  local function give_back(kind, leases, id)
    local m = record(id, FIELD.heard_by)
    local lease, letters, since = m and m.lease, '', ''
    if m and kind == 'reports' then letters, since, lease = telling(m.to_tell) end
    -- This process holds it by now: whatever moment the clock showed then, it is in work.
    if before > 0 and only_id == '' and lease and sub(lease, 1, #BOOT) == BOOT then return end
    if m and kind ~= 'reports' and m.state == QUEUED and m.marked_at == 0 and may_be_alive and is_unheard(m.more) then
      kept = kept + 1
      return
    end
    -- A status is due since then: where nobody was there to tell it for long, that begins anew (lease_reports).
    local due = kind == 'reports' and as_text(math.min(math.abs(call('ZSCORE', leases, id)), NOW)) or now
    call('ZREM', leases, id)
    moved = moved + 1
    -- While it was leased evidence ended it, its caller took it back, or another process told its last status.
    if not m or kind == 'reports' and letters == '' or kind ~= 'reports' and not WAITING[m.state] then return end
    call('ZADD', KEY.queue .. kind, due, id)
    if kind == 'reports' then
      m.to_tell = as_telling(letters, since, '')
      set_standing(m)
    else
      clear(m, FIELD.lease)
    end
    if kind ~= 'reports' and lease and left_nothing(lease) then
      m.state = QUEUED
      set_standing(m)
      note(m, 'again', 'Redis had forgotten that it was put back: nothing had been written')
    elseif kind ~= 'reports' and m.state == UNCERTAIN and only_id == '' and may_have_left(m) then
      call('HINCRBY', KEY.message .. id, FIELD.copies, 1)
      note(m, 'uncertain', instance .. ' ended while it was on the wire')
    end
    save(m)
  end
  if only_id ~= '' then
    -- Another process may own the name by now, and this lease be its.
    local owner = call('HGET', KEY.boots, INSTANCE)
    local leases = KEY.leases .. only_kind .. ':' .. instance
    local since = (not owner or owner == BOOT) and call('ZSCORE', leases, only_id)
    if since and (before == 0 or math.abs(since) < before) then give_back(only_kind, leases, only_id) end
    return moved
  end
  for _, kind in ipairs(KINDS) do
    for _, family in ipairs({KEY.leases, KEY.old_leases}) do
      local leases = family .. kind .. ':' .. instance
      for _, id in ipairs(leased_before(leases, before, limit)) do give_back(kind, leases, id) end
    end
  end
  if moved + kept == 0 and instance ~= INSTANCE then
    call('ZREM', KEY.instances, instance)
    call('HDEL', KEY.boots, instance)
  end
  return moved
end
