-- Whether a message is of this label and player.
local function is_of(id, label, user)
  local theirs, name = unpack(call('HMGET', KEY.message .. id, FIELD.label, FIELD.user))
  local i = 1
  -- A long text goes on in further fields.
  while name and #name >= 61 do
    local more = call('HGET', KEY.message .. id, FIELD.user .. i)
    if not more then break end
    name, i = name .. more, i + 1
  end
  return theirs == label and name == user
end
