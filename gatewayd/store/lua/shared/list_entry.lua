-- Lists of short entries in a few thousand strings for each day: an entry costs its bytes, where a key of its own costs
-- two hundred. An entry begins with 8 bytes that name it, then a message's id; the last one of a name counts.
local LIST_GOES_AT = (math.floor(NOW / DAY) + 1) * DAY + RETENTION * 1000
local function list_entry(family, bucket, entry)
  add_to_list(family .. today() .. ':' .. bucket, entry, LIST_GOES_AT)
end
