-- Give leases of an instance back to their queues: our own former self's, a dead peer's, or one that nobody works on.
-- item    instance limit kind('' all) id('' all) lease(under which that one is held)
--         unwritten(names of leases, each with its process's, under which nothing left but what follows)
--         route segments(remote ids that it gave to those that it took)
-- reply   how many moved; call again until 0
-- holds   marked under a lease under which nothing left, as only its process knows, it is as if it had been put back:
--         the server has forgotten that it was, or took no writes; and so is it with the segments that were taken
--         what its acceptor may still have to take back stays leased, unless that was our own former self: a cut-off
--         process is no dead one
--         of what our own name holds, what this process leased stays, and what our successor did, where there is one
--         a lease that was given back is nobody's: who held it, if alive, can't mark or settle the message any more
local function each(instance, limit, only_kind, only_id, only_lease, unwritten, route, remotes)
  local moved, kept = 0, 0
  local may_be_alive = instance ~= INSTANCE or only_id ~= ''
  -- Another process may own our name by now.
  local owner = call('HGET', KEY.boots, INSTANCE) or BOOT
  local function is_in_work(lease)
    return instance == INSTANCE and (sub(lease, 1, #BOOT) == BOOT or sub(lease, 1, #owner) == owner)
  end
  -- A status is due since it was held by nobody: where that was for long, its time begins anew (lease_reports).
  local seen = instance ~= INSTANCE and call('ZSCORE', KEY.instances, instance)
    or instance == INSTANCE and call('HGET', KEY.beats, 'seen:' .. instance)
  local held_until = only_id == '' and seen and as_text(math.min(seen + 0, NOW)) or now
  local function left_nothing(lease)
    for _, name in ipairs(unwritten) do
      if sub(lease, 1, #name + 1) == name .. '+' or #remotes > 0 and lease == name then return true end
    end
    return false
  end
  local function give_back(kind, id, m)
    local lease, letters, since = holder_of(m, kind), '', ''
    if m and kind == 'reports' then letters, since = telling(m.to_tell) end
    if m and kind ~= 'reports' and m.state == QUEUED and m.marked_at == 0 and may_be_alive and is_unheard(m.more) then
      kept = kept + 1
      return false
    end
    moved = moved + 1
    -- While it was leased evidence ended it, its caller took it back, or another process told its last status.
    if not m or kind == 'reports' and letters == '' or kind ~= 'reports' and not WAITING[m.state] then return true end
    call('ZADD', KEY.queue .. kind, kind == 'reports' and held_until or now, id)
    if kind == 'reports' then
      m.to_tell = as_telling(letters, since, '')
      set_standing(m)
    else
      clear(m, FIELD.lease)
    end
    if kind ~= 'reports' and left_nothing(lease) then
      m.state = QUEUED
      set_standing(m)
      if #remotes > 0 then
        if route ~= m.route then set_copy(m, m.marked_at, route) end
        set_taken(m, route, remotes, 1)
        clear(m, FIELD.lost_progress)
      end
      local written = #remotes > 0 and 'no more than ' .. #remotes .. ' of its segments' or 'nothing'
      note(m, 'again', 'Redis had forgotten that it was put back: ' .. written .. ' had been written')
    elseif kind ~= 'reports' and m.state == UNCERTAIN and only_id == '' and may_have_left(m) then
      call('HINCRBY', KEY.message .. id, FIELD.copies, 1)
      note(m, 'uncertain', instance .. ' ended while it was on the wire')
    end
    save(m)
    return true
  end
  if only_id ~= '' then
    local leases, m = KEY.leases .. only_kind .. ':' .. instance, record(only_id, FIELD.heard_by)
    if owner == BOOT and call('SISMEMBER', leases, only_id) == 1 and holder_of(m, only_kind) == only_lease
      and give_back(only_kind, only_id, m) then call('SREM', leases, only_id) end
    return moved
  end
  for _, kind in ipairs(KINDS) do
    for _, held in ipairs({
      {KEY.leases, 'SREM', call('SMEMBERS', KEY.leases .. kind .. ':' .. instance)},
      {KEY.dated_leases, 'ZREM', call('ZRANGE', KEY.dated_leases .. kind .. ':' .. instance, 0, limit - 1)},
      {KEY.old_leases, 'ZREM', call('ZRANGE', KEY.old_leases .. kind .. ':' .. instance, 0, limit - 1)},
    }) do
      local family, leave, ids = unpack(held)
      for _, id in ipairs(ids) do
        if moved >= limit then return moved end
        local m = record(id, FIELD.heard_by)
        if not is_in_work(holder_of(m, kind)) and give_back(kind, id, m) then
          call(leave, family .. kind .. ':' .. instance, id)
        end
      end
    end
  end
  if moved + kept == 0 and instance ~= INSTANCE then
    call('ZREM', KEY.instances, instance)
    call('HDEL', KEY.boots, instance)
  end
  return moved
end
