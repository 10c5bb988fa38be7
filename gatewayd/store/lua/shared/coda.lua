local out = {}
for i = FIRST_ITEM, #ARGV do out[i - FIRST_ITEM + 1] = each(cmsgpack.unpack(ARGV[i])) end
for kind, ids in pairs(unleased) do call('ZREM', KEY.leases .. kind .. ':' .. INSTANCE, unpack(ids)) end
for what, by in pairs(counted) do
  if by ~= 0 then call('HINCRBY', KEY.counts, what, by) end
end
if more_waiting ~= 0 then call('INCRBY', KEY.waiting, more_waiting) end
return out
