local items, out = cmsgpack.unpack(ARGV[2]), {}
for i = 1, #items do out[i] = each(items[i]) end
for name, by in pairs(counted) do call('HINCRBY', P .. 'counts', name, by) end
return out
