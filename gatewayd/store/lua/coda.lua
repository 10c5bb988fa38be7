local items, out = cmsgpack.unpack(ARGV[2]), {}
for i = 1, #items do out[i] = each(items[i]) end
return out
