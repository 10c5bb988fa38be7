-- Was one of these ids taken before? Who asks tells their caller, so what is the same isn't taken back any more.
-- item    fingerprint ids
-- reply   {code, id}: same conflict, or {'', ''}
local function each(it)
  local fingerprint, ids = unpack(it)
  for _, id in ipairs(ids) do
    local known = call('HGET', KEY.message .. id, FIELD.fingerprint)
    if known == fingerprint then call('HDEL', KEY.message .. id, FIELD.heard_by) end
    if known then return {known == fingerprint and 'same' or 'conflict', id} end
  end
  return {'', ''}
end
