-- Which of these messages are this player's: 0.1.0 listed none under players.
-- item    ids label user
-- reply   ids
local function each(ids, label, user)
  local found = {}
  for _, id in ipairs(ids) do
    if is_of(id, label, user) then found[#found + 1] = id end
  end
  return found
end
