-- An outside fact about one message.
-- item    id event source detail lease-report(0|1) freeze(ms)
-- reply   {result, job or false}: moved ignored unknown
-- holds   `freeze` after delivery a late bounce changes nothing any more
local function each(it)
  local id = it[1]
  local m = state_of(id, 'z')
  if not m then return {'unknown', false} end
  local new, letters = cell(m[1], m[2], it[2])
  if it[2] == 'bounced' and FINAL[m[1]] then
    if NOW - tonumber(m[7] or '0') > it[6] then new = nil end
  end
  local changed, following = false, false
  if new then changed, following = move(id, m, new, letters, it[5] == 1) end
  note(id, changed and it[2] or (it[2] .. ' (no news)'), it[4] == '' and it[3] or (it[3] .. ': ' .. it[4]))
  return {changed and 'moved' or 'ignored', following}
end
