-- What a message was stored with, in one field: its fingerprint, the bucket of its player, and its deadline. Of 0.1.0 the
-- fingerprint stands there alone.
local function fingerprint_of(key, stored)
  local fingerprint, bucket, deadline = string.match(stored or '', '^([^|]*)|(%d*)|(%d+)$')
  if fingerprint then return fingerprint, bucket, deadline end
  return stored, unpack(call('HMGET', key, FIELD.player_bucket, FIELD.deadline))
end

-- Whether a message was stored with this content: under today's key, a previous one, or by 0.1.0 without one; with spaces
-- between them.
local function is_same(stored, fingerprints)
  return find(' ' .. fingerprints .. ' ', ' ' .. string.match(stored, '^[^|]*') .. ' ', 1, true) ~= nil
end
