-- Add an entry to a list, which goes with the end of that day or so many ms behind it.
local function add_to_list(key, entry, day, more)
  if call('APPEND', key, entry) == #entry then call('PEXPIRE', key, as_text((day + 1) * DAY + more - NOW)) end
end
