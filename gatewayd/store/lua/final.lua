-- A message ends here: rejected at delivery, or past its deadline.
-- item    id channel state reason letters lease-report(0|1)
-- reply   {1, job or false}, or {0, false} where it is not ours or evidence settled it meanwhile
local function each(it)
  local id = it[1]
  if call('ZREM', P .. 'l:' .. it[2] .. ':' .. INSTANCE, id) == 0 then return {0, false} end
  local m = state_of(id)
  if not m or not WAITING[m[1]] then return {0, false} end
  local _, following = move(id, m, it[3], it[5], it[6] == 1)
  note(id, it[3], it[4])
  return {1, following}
end
