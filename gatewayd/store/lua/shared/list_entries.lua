-- As list_entry, for one behind the other.
local function list_entries(family, bucket, entry, ...)
  if not bucket then return end
  list_entry(family, bucket, entry)
  return list_entries(family, ...)
end
