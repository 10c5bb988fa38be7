-- What is kept of one message.
-- item    id
-- reply   {uid, label, channel, user, state, activity, address hash, sent or else written ms, told, route}, each false
--         for none
local function each(it)
  local kept = call('HMGET', P .. 'm:' .. it[1], 'i', 'l', 'c', 'x', 's', 'y', 'a', 'e', 'o', 'r', 'k')
  kept[8] = kept[8] or kept[11]
  kept[11] = nil
  return kept
end
