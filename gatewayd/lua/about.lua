-- What is kept of one message.
-- item    id
-- reply   {uid, label, channel, user, state, activity, address hash, sent or else written ms}, each false for none
local function each(it)
  local kept = call('HMGET', P .. 'm:' .. it[1], 'i', 'l', 'c', 'x', 's', 'y', 'a', 'e', 'k')
  kept[8] = kept[8] or kept[9]
  kept[9] = nil
  return kept
end
