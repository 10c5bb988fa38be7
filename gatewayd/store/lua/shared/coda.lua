local out = {}
local is_done, why = pcall(function()
  for i = FIRST_ITEM, #ARGV do out[i - FIRST_ITEM + 1] = each(cmsgpack.unpack(ARGV[i])) end
end)
for _, write in ipairs(at_end) do write() end
if not is_done then error(why, 0) end
return out
