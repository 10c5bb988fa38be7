-- As most are: marked for this way and not settled since, of one segment, which nobody's receipt overtook.
local function usual(id, channel, route, detail, remotes, report_lease, ...)
  local words = detail == '' and route or (route .. ' ' .. detail)
  if #remotes > 1 or route == '' or not is_short(words) then return nil end
  if remotes[1] and are_some_parked() and call('EXISTS', early_of(route, remotes[1])) == 1 then return nil end
  local key = KEY.message .. id
  local standing, whose, held, accepted_at, content = unpack(call('HMGET', key, FIELD.state, FIELD.label, FIELD.lease,
    FIELD.accepted_at, FIELD.content))
  -- What was marked in segments says no way here, nor does what was leased anew.
  local marked = held and find(held, '+', 1, true)
  if not marked or sub(held, marked + 1) ~= route or not content then return nil end
  local step, to_tell = step_from(standing, 'sent')
  if not step or step.old ~= UNCERTAIN then return nil end
  leave_leases(channel, id)
  local report, kind = take_step(id, step, to_tell, whose, accepted_at, 'sent', words, report_lease)
  local inside = fields_inside(content)
  if not inside then free_shared(content) end
  call('HDEL', key, FIELD.lease, FIELD.heard_by, content_fields(key, inside))
  call('EXPIRE', key, KEEP)
  kind.dropped = kind.dropped + 1
  list_entries(KEY.remotes, ...)
  return report
end
