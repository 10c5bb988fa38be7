-- Since when the first of these statuses is to be told; 0.1.0 has it in a field of its own.
local function since_when(id, to_tell)
  local _, since = telling(to_tell)
  return since ~= '' and since or call('HGET', KEY.message .. id, FIELD.old_since)
end
