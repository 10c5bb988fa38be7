-- The moments at which the caller heard this status, in order; none where it did not.
local function moments_heard(m, letter)
  local times = call('HGET', m.key, FIELD.report .. letter) or ''
  local first, last, often = string.match(times, '^%-?%d+ (%-?%d+) ?(%-?%d*) ?(%d*)$')
  local found = {first and first + m.accepted_at}
  if tonumber(often) and tonumber(often) > 2 then
    local between = call('HGET', m.key, FIELD.heard_between .. letter) or ''
    for at in string.gmatch(between, '%-?%d+') do found[#found + 1] = at + m.accepted_at end
  end
  if tonumber(last) then found[#found + 1] = last + m.accepted_at end
  return found
end

-- Queue those statuses of a message once more that were heard in [from, upto), whenever else they were heard. What was
-- heard again since this replay `began` it has queued before.
-- With a part [begin, stop) of that range only those of the part, each status in one part: where it was heard first of
-- all times within the range. Result: how many.
local function replay_one(id, label, from, upto, began, begin, stop)
  local m = record(id)
  local ever = m and m.queued_reports or ''
  if ever == '' or label ~= '' and m.label ~= label or m.accepted_at >= upto then return 0 end
  local function is_in(at, first_moment, end_moment) return at >= first_moment and at < end_moment end
  local letters, heard, done = '', {}, {}
  local waiting = telling(m.to_tell)
  for letter in string.gmatch(ever, '%a') do
    local moments = moments_heard(m, letter)
    done[letter] = #moments > 1 and moments[#moments] > began
    for _, at in ipairs(moments) do
      if is_in(at, from, upto) then
        heard[letter] = is_in(at, begin or from, stop or upto)
        break
      end
    end
  end
  -- 0.1.0 kept that in its timeline.
  local _, bucket = fingerprint_of(m.key, call('HGET', m.key, FIELD.fingerprint))
  for _, line in ipairs(bucket and {} or call('LRANGE', KEY.timeline .. id, 0, -1)) do
    local at, letter = string.match(line, '^(%d+)|told|(%a)$')
    if at then heard[letter] = heard[letter] or is_in(tonumber(at), from, upto) end
  end
  for letter in string.gmatch(ever, '%a') do
    if heard[letter] and not done[letter] and not find(waiting, letter, 1, true) then
      letters = letters .. letter
    end
  end
  if letters ~= '' then tell_again(m, 'replayed', letters) end
  return #letters
end
