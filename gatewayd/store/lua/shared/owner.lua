-- A long text, which goes on in further fields.
local function long_text(key, name)
  local text, i = call('HGET', key, name), 1
  while text and #text >= 61 * i do
    local more = call('HGET', key, name .. i)
    if not more then break end
    text, i = text .. more, i + 1
  end
  return text
end

-- Whether a message is of this label and player.
local function is_of(id, label, user)
  local key = KEY.message .. id
  local who = long_text(key, FIELD.who)
  local name = who and cjson.decode(who)
  name = name and unpack(name) or long_text(key, FIELD.user)
  return name == user and (label_of(key, call('HGET', key, FIELD.label))) == label
end
