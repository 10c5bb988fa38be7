-- Keep something for so long at least: what was promised more before (a dead letter, another message's URL) stays.
-- Result: whether that was longer.
local function keep_key(key, seconds)
  return call('TTL', key) < tonumber(seconds) and call('EXPIRE', key, seconds) == 1
end

-- A message that waits no more, and the URL that it names, while a status of it is to be told.
-- KEEP has an hour more than the 48 that a status has.
local function keep(m, seconds)
  if WAITING[m.state] or seconds == KEEP and has_its_time(m.accepted_at) then return end
  if seconds == KEEP and call('TTL', m.key) >= KEEP - 3600 then return end
  local longer = keep_key(m.key, seconds)
  if m.callback ~= '' then keep_key(KEY.callback .. m.callback, seconds) end
  local _, bucket = fingerprint_of(m.key, longer and call('HGET', m.key, FIELD.fingerprint))
  if longer and bucket then list_under_player(packed(m.id), bucket, NOW + seconds * 1000) end
end
