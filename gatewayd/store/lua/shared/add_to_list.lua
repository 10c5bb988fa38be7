-- Add an entry to a list, which goes at that moment.
local function add_to_list(key, entry, goes_at)
  if call('APPEND', key, entry) == #entry then call('PEXPIRE', key, as_text(goes_at - NOW)) end
end
