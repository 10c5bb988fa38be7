-- As most are: leased where it was stored, never marked before, and of one segment.
local FRESH, MARKED = QUEUED .. '||', UNCERTAIN .. '||'

local function usual(id, channel, lease, route, address, bucket, entry, segments, label, ...)
  if segments > 1 or not is_short(route) or is_paused(label .. '|' .. channel) or is_stopped(...) then
    return nil
  end
  local key, mine = KEY.message .. id, BOOT .. lease
  local standing, held, copy, accepted_at = unpack(call('HMGET', key, FIELD.state, FIELD.lease, FIELD.route,
    FIELD.accepted_at))
  if standing ~= FRESH or held ~= mine or copy then return nil end
  call('HSET', key, FIELD.state, MARKED, FIELD.route, as_text(NOW - accepted_at) .. ' ' .. route, FIELD.address_hash, address,
    FIELD.lease, mine .. '+' .. route)
  if entry ~= '' then list_entry(KEY.latest, bucket, entry) end
  return NOW
end
