-- When a status of a message was queued (ms): that is when what it says came about; 0 for never. What is told next says it
-- itself, the others have it in a field of their own.
local function queued_at(m, letter)
  local age = string.match(call('HGET', m.key, FIELD.report .. letter) or '', '^%-?%d+')
  if age then return m.accepted_at + age end
  local letters, since = telling(m.to_tell)
  return sub(letters, 1, 1) == letter and tonumber(since) or 0
end
