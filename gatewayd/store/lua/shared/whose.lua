-- Whose a message is, in one field: its label, its channel, and the digest of its callback URL. Of 0.1.0 the label stands
-- there alone. The messages of a call are mostly of a few: each is taken apart once.
local known = {}
local function label_of(key, whose)
  local parts = known[whose or '']
  if not parts then
    parts = {string.match(whose or '', '^([^|]*)|([^|]*)|(.*)$')}
    known[whose or ''] = parts
  end
  if parts[1] then return parts[1], parts[2], parts[3] end
  local channel, callback = unpack(call('HMGET', key, FIELD.channel, FIELD.callback))
  return whose, channel, callback or ''
end
