-- Tell again what was heard of messages in a time range: the caller lost it.
-- item    ids label('' any) from(ms) to(ms)
-- reply   how many statuses were queued
local function in_range(at, from, upto) return at and at >= from and at < upto end

local function each(it)
  local ids, label, from, upto = unpack(it)
  local queued = 0
  for _, id in ipairs(ids) do
    local theirs, ever, accepted_at = unpack(call('HMGET', KEY.message .. id, FIELD.label, FIELD.queued_reports,
      FIELD.accepted_at))
    if ever and ever ~= '' and (label == '' or theirs == label) and tonumber(accepted_at or '0') < upto then
      local m, letters, heard = record(id), '', {}
      for letter in string.gmatch(ever, '%a') do
        local times = call('HGET', KEY.message .. id, FIELD.report .. letter) or ''
        local first, last = string.match(times, '^%-?%d+ (%-?%d+) ?(%-?%d*)')
        heard[letter] = in_range(first and first + m.accepted_at, from, upto)
          or in_range(tonumber(last) and last + m.accepted_at, from, upto)
      end
      -- 0.1.0 kept that in its timeline.
      for _, line in ipairs(m.player_bucket and {} or call('LRANGE', KEY.timeline .. id, 0, -1)) do
        local at, letter = string.match(line, '^(%d+)|told|(%a)$')
        if at then heard[letter] = heard[letter] or in_range(tonumber(at), from, upto) end
      end
      for letter in string.gmatch(ever, '%a') do
        if heard[letter] and not find(m.pending_reports, letter, 1, true) then letters = letters .. letter end
      end
      if letters ~= '' then
        note(m, 'replayed', letters)
        queue_reports(m, letters, '')
        save(m)
        keep(m, KEEP)
        queued = queued + #letters
      end
    end
  end
  return queued
end
