-- Under which lease a message is held in a queue, with its process's name before it; '' for none.
local function holder_of(m, kind)
  if not m then return '' end
  if kind ~= 'reports' then return m.lease or '' end
  local _, _, holder = telling(m.to_tell)
  return holder
end
