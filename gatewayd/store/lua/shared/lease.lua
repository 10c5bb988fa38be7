-- Whether this process holds a message by this very lease; a plus behind it says that it was marked since.
local function was_marked(m, lease) return m.lease == BOOT .. lease .. '+' end

local function holds(m, lease) return m.lease == BOOT .. lease or was_marked(m, lease) end
