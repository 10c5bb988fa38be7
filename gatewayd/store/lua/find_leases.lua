-- Under which leases messages are held.
-- item    kind id
-- reply   the lease, with its process's name before it; '' for none
local read = RECORD(state, lease)

local function each(kind, id) return holder_of(read(id), kind) end
