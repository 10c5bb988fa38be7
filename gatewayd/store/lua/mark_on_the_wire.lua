-- Mark a leased message, or the next segment of a long SMS, as being on the wire, right before its bytes are written.
-- item    id channel lease route address-hash bucket entry(what leads from a number to it; '' for none) segments label
--         stop-key ...
-- reply   the stamp of the mark; or lost (not ours, or not to be sent any more), stopped, paused: nothing may be written
-- holds   from here on a crash leaves it uncertain, never queued
--         of two marks of a message the later has the larger stamp, though the clock was set back between them: by that
--         its process knows whether a server that came back has forgotten the later one
--         only the holder of its latest lease may write: who slept meanwhile, or bears the same name, is told that it is lost
local read = RECORD(state, lease, segments, route, accepted_at)

-- And what it has since it was marked before.
local function with_former_mark(m)
  if m.marked_at == 0 and not m.segments then return m end
  local taken, address = unpack(call('HMGET', m.key, FIELD.segments_taken, FIELD.address_hash))
  m.segments_taken, m.address_hash = tonumber(taken or '0'), address
  return with_old_progress(m)
end

local function each(id, channel, lease, route, address, bucket, entry, segments, label, ...)
  local m = read(id)
  if not m or not holds(m, lease) or not WAITING[m.state] then return 'lost' end
  if is_paused(label .. '|' .. channel) then return 'paused' end
  if is_stopped(...) then return 'stopped' end
  local taken = with_former_mark(m).segments_taken
  -- On another SMSC, or to another number, a long SMS begins anew: what was taken and received there says nothing here.
  local elsewhere = m.route ~= route or (m.address_hash or '') ~= '' and m.address_hash ~= address
  if m.route and elsewhere and (taken > 0 or m.segments) then
    clear(m, FIELD.segments)
    clear_taken(m, taken)
    taken, m.segments = 0, nil
  end
  local mark_stamp = math.max(NOW, m.marked_at + 1)
  m.state = UNCERTAIN
  set_standing(m)
  set_copy(m, mark_stamp, route)
  set(m, FIELD.address_hash, address)
  set(m, FIELD.lease, BOOT .. lease .. '+' .. (not m.segments and copy_says_it(segments, route) and route or ''))
  if entry ~= '' and (m.address_hash ~= address or m.marked_at == 0) then list_entry(KEY.latest, bucket, entry) end
  local words = taken > 0 and (route .. ', segment ' .. (taken + 1) .. ' of ' .. segments) or route
  if m.marked_at > 0 then
    note(m, 'submitting', words)
  elseif not copy_says_it(segments, words) then
    note_once(m, 'submitting', words)
  end
  local new_outcomes = segments > 1 and not m.segments
  save(m)
  -- On another attempt at a long SMS, what its segments' receipts said so far stays.
  if new_outcomes then call('HSET', KEY.message .. id, FIELD.segments, string.rep('.', segments)) end
  return mark_stamp
end
