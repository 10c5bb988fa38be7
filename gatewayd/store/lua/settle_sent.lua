-- The next hop took it; and it arrived, where its receipts were faster than the last answer.
-- item    id channel route detail remote-ids report-lease bucket entry(what leads from the first to its segment; and so of each)
-- reply   the report or false; {the same, receipts that were parked for it, 1 where it arrived} where there is such news
-- holds   it is a fact, so it counts even where the lease was lost meanwhile; the transition table makes it idempotent
local read = RECORD(state, label, lease, route, segments, accepted_at, content)

-- And what is said anyway, or is there of a long SMS alone.
local function record_of(id, channel, parts)
  local m = read(id)
  if not m then return nil end
  m.channel = channel
  if m.segments or parts > 1 then m.segments_taken = tonumber(call('HGET', m.key, FIELD.segments_taken) or '0') end
  return with_old_progress(m)
end

-- The receipts that waited for these ids, in the order in which they came: one that waited for the wrong answer stands
-- last in its list.
local function parked_for(route, remotes)
  local found = {}
  for _, remote in ipairs(remotes) do
    local early = early_of(route, remote)
    local waiting = call('LRANGE', early, 0, -1)
    for _, payload in ipairs(waiting) do
      found[#found + 1] = payload
      -- Where this reply is lost, the next look finds its message.
      call('ZADD', KEY.parked, 'XX', now, payload)
    end
    if #waiting > 0 then call('DEL', early) end
  end
  table.sort(found)
  return found
end

-- Whether one of them says that a segment did not arrive.
local function one_failed(parked)
  for _, payload in ipairs(parked) do
    local letter = OUTCOME[cjson.decode(sub(payload, find(payload, '|', 1, true) + 1)).event]
    if letter and letter ~= 'd' then return true end
  end
  return false
end

-- What receipts said of its segments while the rest was being submitted, by the ids that several of them share: what is
-- said of an id is said of all of them.
local function outcomes_by_id(m, remotes)
  local said = {}
  for i = 1, #m.segments do
    local remote = call('HGET', m.key, FIELD.segments_taken .. i)
    if remote and sub(m.segments, i, i) == 'd' then said[remote] = 'd' end
  end
  local outcomes = {}
  for i, remote in ipairs(remotes) do outcomes[i] = said[remote] or '.' end
  return table.concat(outcomes)
end

local NONE = {}

local function each(id, channel, route, detail, remotes, report_lease, ...)
  leave_leases(channel, id)
  local words = detail == '' and route or (route .. ' ' .. detail)
  local m = record_of(id, channel, #remotes)
  if not m then return false end
  -- It ended before its answer came.
  if not WAITING[m.state] then m = record(id) end
  local parked = are_some_parked() and parked_for(route, remotes) or NONE
  -- All its segments bear one id: what a receipt said of it while the rest was being submitted is true of the whole.
  local outcomes = m.segments
  if #remotes > 1 and outcomes and #outcomes ~= #remotes then outcomes = outcomes_by_id(m, remotes) end
  local all_arrived = outcomes ~= m.segments and not find(outcomes, '.', 1, true)
    or #remotes == 1 and outcomes and find(outcomes, 'd', 1, true)
  local has_arrived = all_arrived and not one_failed(parked)
  local new, letters = cell(m, has_arrived and 'delivered' or 'sent')
  local changed, report = false, false
  if route ~= m.route then set_copy(m, m.marked_at, route) end
  if #remotes > 1 and (not m.segments or #m.segments ~= #remotes) then
    set(m, FIELD.segments, outcomes or string.rep('.', #remotes))
  elseif #remotes == 1 and m.segments then
    clear(m, FIELD.segments)
  end
  if new then changed, report = move(m, new, letters, report_lease, 'sent', words) end
  if not changed then
    set(m, FIELD.sent_at, now)
    save(m)
  end
  list_entries(KEY.remotes, ...)
  local arrived = changed and new == 'delivered'
  return (arrived or #parked > 0) and {report, parked, arrived and 1 or 0} or report
end
