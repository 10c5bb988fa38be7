-- Whether a waiting message is neither queued nor set aside: one that is leased is being sent or ended right now.
local function in_work(m)
  if m.lease then return true end
  return not call('ZSCORE', KEY.queue .. m.channel, m.id)
    and not call('ZSCORE', KEY.aside .. m.label .. '|' .. m.channel, m.id)
end

-- Let an uncertain message go on at once, now that it is known what the next hop has of it; false where it is in work.
local function resume(m)
  if in_work(m) then return false end
  call('ZADD', KEY.queue .. m.channel, 'XX', now, m.id)
  call('ZREM', KEY.unanswered .. m.address_hash, m.id)
  m.state = QUEUED
  set_standing(m)
  return true
end

-- These segments of it were taken by that SMSC, and no others; those before `first` were named when they were.
local function set_taken(m, smsc, remotes, first)
  if #remotes > 0 then set(m, FIELD.segments_taken, #remotes) end
  for i, remote in ipairs(remotes) do
    set(m, FIELD.segments_taken .. i, remote)
    if i >= first then name_segment(m.id, smsc, remote, i) end
  end
end
