-- What is kept of a message, by names; nil for none. Behind the id may stand a further field that the script looks at.
-- What needs less reads less: Redis looks for each field in the whole hash.
local whole = RECORD(state, label, route, address_hash, lease, segments, segments_taken, accepted_at, content, more)

local function record(id, ...) return with_old_progress(whole(id, ...)) end
