-- Mark a leased message, or the next segment of a long SMS, as being on the wire, right before its bytes are written.
-- item    id channel route address-hash latest(0|1) segments label stop-names
-- reply   1; 0 where it is not ours or not to be sent any more, 2 on the stop list, 3 paused: nothing may be written
-- holds   from here on a crash leaves it uncertain, never queued
local function each(it)
  local id, l = it[1], P .. 'l:' .. it[2] .. ':' .. INSTANCE
  if not call('ZSCORE', l, id) then return 0 end
  local m = state_of(id, 'r', 'j')
  if not m or not WAITING[m[1]] then
    call('ZREM', l, id)
    return 0
  end
  if call('SISMEMBER', P .. 'paused', it[7] .. '|' .. it[2]) == 1 then return 3 end
  if stopped(it[7], it[2], it[8]) then return 2 end
  local key = P .. 'm:' .. id
  -- On another SMSC a long SMS begins anew: what was taken and received there says nothing of its segments here.
  if m[7] and m[7] ~= it[3] then
    call('HDEL', key, 'j', 'g')
    m[8] = nil
  end
  call('HSET', key, 's', UNCERTAIN, 'r', it[3], 'k', now, 'a', it[4])
  -- On another attempt at a long SMS, what its segments' receipts said so far stays.
  if it[6] > 1 then call('HSETNX', key, 'g', string.rep('.', it[6])) end
  if it[5] == 1 and it[4] ~= '' then call('SET', P .. 'n:' .. it[4], id, 'EX', RETENTION) end
  local taken = segments_in(m[8])
  note(id, 'submitting', taken > 0 and (it[3] .. ', segment ' .. (taken + 1) .. ' of ' .. it[6]) or it[3])
  return 1
end
