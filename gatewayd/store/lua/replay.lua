-- Tell again what was heard of these messages in a time range: the caller lost it.
-- item    ids label('' any) from(ms) to(ms)
-- reply   how many statuses were queued
local function each(it)
  local ids, label, from, upto = unpack(it)
  local queued = 0
  for _, id in ipairs(ids) do queued = queued + replay_one(id, label, from, upto) end
  return queued
end
