-- This process holds it no more: all of a call leave the set at once, at its end (coda.lua).
local function unlease(kind, id)
  local ids = unleased[kind]
  if ids then ids[#ids + 1] = id else unleased[kind] = {id} end
end
