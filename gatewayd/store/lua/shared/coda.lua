local out = {}
local is_done, why = pcall(function()
  for i = FIRST_ITEM, #ARGV do out[i - FIRST_ITEM + 1] = run(ARGV[i]) end
end)
for _, write in ipairs(at_end) do
  -- One that can't be written, for want of a right or as its key is of another type, takes none of the others along.
  local is_written, fault = pcall(write)
  if is_done and not is_written then is_done, why = false, fault end
end
if not is_done then error(why, 0) end
return out
