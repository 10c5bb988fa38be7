-- Whether this process holds a message by this very lease; a plus behind it says that it was marked since, and what follows
-- for which way, where it has one segment.
local function was_marked(m, lease)
  local marked = BOOT .. lease .. '+'
  return m.lease and sub(m.lease, 1, #marked) == marked
end

-- Whether a copy may have left under the lease that it has, whoever holds it: of what 0.1.0 leased nobody can say.
local function may_have_left(m) return not m.lease or find(m.lease, '+', 1, true) end

local function holds(m, lease) return m.lease == BOOT .. lease or was_marked(m, lease) end
