-- Whether a message is to be kept back: none of the calls that stored it or heard of it is decided (unheard.py).
-- `heard_by` is that field; what 0.1.0 wrote begins with no moment, and is not kept back.
local first_open = {}
local function is_unheard(heard_by)
  local stored_at, calls = string.match(heard_by or '', '^(%d+);(.+)$')
  local age = stored_at and NOW - stored_at
  -- Of a clock that was set back nothing is concluded.
  if not age or age < 0 or age >= UNHEARD_FOR then return false end
  for boot, attempt in string.gmatch(calls, '([^;]*%.)(%d+);') do
    first_open[boot] = first_open[boot] or tonumber(call('GET', KEY.heard .. boot) or '0')
    if tonumber(attempt) < first_open[boot] then return false end
  end
  return true
end
