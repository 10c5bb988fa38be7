-- As most are: what is heard of a message that was sent not long ago, and is no bounce, which may come too late.
local function usual(id, event, source, detail, report_lease)
  local words = evidence_words(source, detail)
  if event == 'bounced' or not is_short(words) then return nil end
  local standing, whose, accepted_at = unpack(call('HMGET', KEY.message .. id, FIELD.state, FIELD.label,
    FIELD.accepted_at))
  local step, to_tell = step_from(standing, event)
  accepted_at = accepted_at and accepted_at + 0
  -- What is old is to be kept for longer.
  if not step or WAITING[step.old] or not has_its_time(accepted_at) then return nil end
  local report = take_step(id, step, to_tell, whose, accepted_at, event, words, report_lease)
  return {'moved', report}
end
