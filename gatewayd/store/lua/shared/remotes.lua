-- Under what id an SMSC's receipts name a segment that it took.
local function name_segment(id, smsc, remote, segment)
  local bucket, tag = place_of(hash_of(smsc, remote))
  list_entry(KEY.remotes, bucket, tag .. packed(id) .. string.char(segment))
end

-- Visit the messages and segments that an SMSC's id names, the latest first; `visit` says what that of each_listed does.
-- Nodes of one account may count alike, and a counter begins anew: what another message was known by stays. They are
-- listed in one bucket, under entries that begin with one tag.
local function each_named(smsc, remote, visit)
  local bucket, tag = place_of(hash_of(smsc, remote))
  local seen, more = {}, nil
  local function new(id, segment)
    if not seen[id] then seen[id], more = true, visit(id, segment) end
    return more
  end
  local found = each_listed(KEY.remotes, bucket, tag, 25, function(bytes)
    return new(unpacked(sub(bytes, 1, 16)), string.byte(bytes, 17))
  end)
  local old = not found and call('GET', KEY.remote .. smsc .. ':' .. remote)
  if old then
    local id, segment = string.match(old, '^([^|]*)|(%d+)|')
    new(id, tonumber(segment))
  end
end
