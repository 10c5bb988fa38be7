-- What the transition table says of an event, where a message stands so: the new state and the letters of the statuses to
-- queue; nil for "ignore".
local function cell_of(state, queued, event)
  local facts = (find(queued, 'o', 1, true) and 'o' or '')
    .. ((find(queued, 'c', 1, true) or find(queued, 'u', 1, true)) and 'c' or '')
  local row = facts == '' and state or (state .. '+' .. facts)
  local column = COLUMN(event)
  local _, at = find(column, ';' .. row .. '>', 1, true)
  if not at then return nil end
  local _, _, new, letters = find(column, '^(%a+):(%a*)', at + 1)
  return new, letters
end

-- Those of these letters that are not among the queued ones.
local function not_told(letters, queued)
  local fresh = ''
  for letter in string.gmatch(letters, '%a') do
    if not find(queued, letter, 1, true) then fresh = fresh .. letter end
  end
  return fresh
end
