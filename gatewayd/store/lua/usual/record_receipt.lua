-- As most are: new, about the only message of today that bears the likeliest form of the id, to this number where one is said,
-- of one segment.
local function usual(smsc, remotes, bucket, tag, event, detail, numbers, may_park, payload, was_parked, report_lease)
  if event == '' or was_parked == 1 or not is_short(detail) then return nil end
  local id, segment = only_named_today(bucket, tag)
  if not id then return nothing_usual(id, segment) end
  local standing, whose, address, cut, accepted_at = unpack(call('HMGET', KEY.message .. id, FIELD.state, FIELD.label,
    FIELD.address_hash, FIELD.segments, FIELD.accepted_at))
  if cut or numbers ~= '' and not is_to(numbers, address) then return nothing_usual(id, segment) end
  local step, to_tell = step_from(standing, event)
  accepted_at = accepted_at and accepted_at + 0
  -- What is old is to be kept for longer.
  if not step or WAITING[step.old] or not has_its_time(accepted_at) then return nothing_usual(id, segment) end
  local report = take_step(id, step, to_tell, whose, accepted_at, 'receipt', detail, report_lease)
  return receipt_reply('moved', id, report)
end
