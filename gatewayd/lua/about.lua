-- What is kept of one message.
-- item    id
-- reply   {uid, label, channel, user, state, activity, address hash, sent ms}, each false where there is none
local function each(it)
  return call('HMGET', P .. 'm:' .. it[1], 'i', 'l', 'c', 'x', 's', 'y', 'a', 'e')
end
