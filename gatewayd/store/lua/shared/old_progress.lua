-- A record with what 0.1.0 kept of a long SMS that was half sent.
local function with_old_progress(m)
  if m and m.segments and m.segments_taken == 0 then
    local old = call('HGET', m.key, FIELD.old_segments)
    if old then m.segments_taken = select(2, string.gsub(old, '%S+', '')) end
  end
  return m
end
