-- Tell again what was heard of these messages in a time range: the caller lost it.
-- item    ids label('' any) from(ms) to(ms) began(ms; 0 with the first step)
-- reply   {how many statuses were queued, when this replay began}
local function each(ids, label, from, upto, began)
  local queued = 0
  if began == 0 then began = NOW end
  for _, id in ipairs(ids) do queued = queued + replay_one(id, label, from, upto, began) end
  return {queued, began}
end
