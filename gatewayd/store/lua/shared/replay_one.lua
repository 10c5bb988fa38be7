-- Queue those statuses of a message once more that were heard in [from, upto): for the first or for the latest time.
-- With a part [begin, stop) of that range only those of the part, each status in one part: where it was heard first, or
-- last where that was before the range. Result: how many.
local function replay_one(id, label, from, upto, begin, stop)
  local theirs, ever, accepted_at = unpack(call('HMGET', KEY.message .. id, FIELD.label, FIELD.queued_reports,
    FIELD.accepted_at))
  if not ever or ever == '' or label ~= '' and theirs ~= label or tonumber(accepted_at or '0') >= upto then return 0 end
  local function is_in(at, first_moment, end_moment) return at and at >= first_moment and at < end_moment end
  local m, letters, heard = record(id), '', {}
  for letter in string.gmatch(ever, '%a') do
    local times = call('HGET', KEY.message .. id, FIELD.report .. letter) or ''
    local first, last = string.match(times, '^%-?%d+ (%-?%d+) ?(%-?%d*)')
    first, last = first and first + m.accepted_at, tonumber(last) and last + m.accepted_at
    local at = is_in(first, from, upto) and first or last
    heard[letter] = is_in(at, from, upto) and is_in(at, begin or from, stop or upto)
  end
  -- 0.1.0 kept that in its timeline.
  for _, line in ipairs(m.player_bucket and {} or call('LRANGE', KEY.timeline .. id, 0, -1)) do
    local at, letter = string.match(line, '^(%d+)|told|(%a)$')
    if at then heard[letter] = heard[letter] or is_in(tonumber(at), from, upto) end
  end
  for letter in string.gmatch(ever, '%a') do
    if heard[letter] and not find(m.pending_reports, letter, 1, true) then letters = letters .. letter end
  end
  if letters ~= '' then tell_again(m, 'replayed', letters) end
  return #letters
end
