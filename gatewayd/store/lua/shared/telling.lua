-- What is to be told of a message stands in one field, for all of it changes together: the letters of the statuses that are
-- still to be heard, since when the first of them is to be told, and who tells it; the last two '' for none.
local function telling(to_tell) return string.match(to_tell, '^(%a*) ?(%d*) ?(.*)$') end

local function as_telling(letters, since, lease)
  return letters == '' and '' or letters .. ' ' .. since .. ' ' .. lease
end
