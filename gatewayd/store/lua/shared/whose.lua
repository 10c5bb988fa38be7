-- Whose a message is, in one field: its label, its channel, and the digest of its callback URL. Of 0.1.0 the label stands
-- there alone.
local function label_of(key, whose)
  local label, channel, callback = string.match(whose or '', '^([^|]*)|([^|]*)|(.*)$')
  if label then return label, channel, callback end
  channel, callback = unpack(call('HMGET', key, FIELD.channel, FIELD.callback))
  return whose, channel, callback or ''
end
