-- Whether words of a step need no further field: see shared/note.lua.
local function is_short(words) return #words < 48 end
