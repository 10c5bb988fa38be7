-- Was one of these ids taken before? Who asks tells their caller, so what is the same isn't taken back any more.
-- item    fingerprints(under each key, with spaces between them) ids
-- reply   {code, id}: same conflict, or {'', ''}
local function each(fingerprints, ids)
  for _, id in ipairs(ids) do
    local known = call('HGET', KEY.message .. id, FIELD.fingerprint)
    local same = known and is_same(known, fingerprints)
    if same then call('HDEL', KEY.message .. id, FIELD.heard_by) end
    if known then return {same and 'same' or 'conflict', id} end
  end
  return {'', ''}
end
