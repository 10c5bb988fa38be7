-- Was one of these ids taken before? Who asks tells their caller, so what is the same isn't taken back any more.
-- item    fingerprint ids
-- reply   {code, id}: same conflict, or {'', ''}
local function each(it)
  for _, id in ipairs(it[2]) do
    local known = call('HGET', P .. 'm:' .. id, 'h')
    if known == it[1] then call('HDEL', P .. 'm:' .. id, 'v') end
    if known then return {known == it[1] and 'same' or 'conflict', id} end
  end
  return {'', ''}
end
