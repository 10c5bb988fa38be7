-- A delivery receipt: find its message by any of the id's forms, or by its number, and fold its segment in.
-- item    smsc ids(the likeliest first) bucket and beginning of an entry(of that one) event('' settles nothing) detail
--         number-hashes(with spaces between them) park(0|1) payload(of one that was parked, as it was; '' of one that is said for the first time)
--         was-parked(0|1) report-lease by-number(0|1) wording('' for none)
-- reply   a line each: result, message id, and where there is one the report. Results: moved ignored parked unknown
--         sent(it shows that all was taken) payload(it is to be parked: say it once more with what is to be kept)
-- holds   a receipt that finds no message, or one by its number, is kept under each form of its id until the submit's
--         answer comes; the first final receipt of a segment wins; or else it is about the oldest uncertain one to that
--         number, and then about the segment whose answer was lost: that one was taken, so the message goes on behind it,
--         or is sent; of several to one number that bear one id each gets a receipt of its own, and none that is brought
--         again; where all of them have theirs, it waits for the answer of one that is on the wire, or is the next
--         uncertain one's

-- Most receipts come when their message waits no more, and then it has little.
local read = RECORD(state, label, address_hash, segments, accepted_at)

local function record_of(id)
  local m = read(id)
  if not m then return nil end
  if not WAITING[m.state] then return m end
  local copy, lease, taken, content, lost_progress = unpack(call('HMGET', m.key, FIELD.route, FIELD.lease,
    FIELD.segments_taken, FIELD.content, FIELD.lost_progress))
  m.marked_at, m.route = route_of(m.key, copy, m.accepted_at)
  m.lease, m.content, m.lost_progress = lease, content, lost_progress
  m.segments_taken = tonumber(taken or '0')
  return with_old_progress(m)
end

-- How many more messages that bear an id, or went to a number, are looked at once one to the number is found: nodes are
-- few, but there are SMSCs that give one id to all.
local RIVALS = 16

-- How long the answer to a submit may take whose receipt was taken for another message's, in ms.
local ANSWERED_WITHIN = 60000

-- Whether it is not known yet how this segment ended.
local function is_open(m, segment)
  if FINAL[m.state] then return false end
  return not m.segments or #m.segments < 2 or sub(m.segments, segment, segment) == '.'
end

-- Before the wording of a receipt that was taken for a message by its number: an answer may name another one for it.
local GUESSED = '?'

local function ended_by(m, segment)
  return call('HGET', m.key, FIELD.wording .. segment)
end

-- Whether this very receipt said already how a segment of a message ended, of which several may bear one id.
local function was_said(m, wording)
  for segment = 1, math.max(m.segments and #m.segments or 1, 1) do
    local by = ended_by(m, segment)
    if by == wording or by == GUESSED .. wording then return true end
  end
  return false
end

-- Of a day's messages to one number under one id, the latest first: the one that ended by this very receipt, as it is
-- brought again; else the oldest one whose end is not known; else the one for which it was taken; else the latest.
local function whose(rivals, wording)
  local open, guessed
  for _, rival in ipairs(#rivals > 1 and rivals or {}) do
    local by = ended_by(rival.message, rival.segment)
    if by == wording then return rival end
    if by == GUESSED .. wording then guessed = rival end
    if is_open(rival.message, rival.segment) then open = rival end
  end
  return open or guessed or rivals[1]
end

-- By its id: the message, the segment, and whether others to that number bear the id; or what the likeliest form names
-- where the number is another one.
local function by_id(smsc, remotes, bucket, tag, numbers, wording)
  local stranger
  -- As nearly all are: the only one of today that bears the likeliest form, and to this number.
  local id, segment = looked_for_already(bucket, tag)
  local only = id and record_of(id)
  if only and is_to(numbers, only.address_hash) then return only, segment, false end
  for rank, remote in ipairs(remotes) do
    local rivals, more = {}, nil
    each_named(smsc, remote, function(id, segment)
      local one = record_of(id)
      if more then more = more - 1 end
      if not one then return more end
      -- Ids of other forms, and of other nodes, can collide: the message to this number goes first.
      local sure = is_to(numbers, one.address_hash)
      if sure or #rivals == 0 and (numbers == '' or one.address_hash == '') then
        rivals[#rivals + 1] = {message = one, segment = segment}
        more = sure and wording ~= '' and (more or RIVALS) or 0
      elseif rank == 1 then
        stranger = stranger or {message = one, segment = segment}
      end
      return more
    end)
    if #rivals > 0 then
      local found = whose(rivals, wording)
      return found.message, found.segment, #rivals > 1
    end
  end
  return nil, nil, false, stranger
end

-- Where the clock was set back: from which moment on its stamps may stand before, and up to which behind, older ones.
local back_from, back_to

local function was_set_back_between(marked_at, came_at)
  if not back_from then
    local from, upto = unpack(call('HMGET', KEY.beats, 'back_from', 'back_to'))
    back_from, back_to = tonumber(from or '0'), tonumber(upto or '0')
  end
  -- A heartbeat noticed it, up to a second later.
  return marked_at <= back_to + 2000 and came_at >= back_from - 2000
end

-- Whether a message was marked before a receipt was here; `came_at` is what the clock showed then, or NOW for a new one.
local function was_marked_before(marked_at, came_at)
  local came_before_jump = came_at > NOW + 1000
  if marked_at > NOW then return not came_before_jump or marked_at <= came_at end
  return marked_at <= came_at or was_set_back_between(marked_at, came_at)
end

-- Whether a message to this number is on the wire: its answer is still to name its id. It may have been written after the
-- receipt was here: a later receipt may have gone to that one's message.
local function is_one_on_the_wire(smsc, number)
  local bucket, tag = bucket_of(number)
  local is_there, more = false, RIVALS
  each_listed(KEY.latest, bucket, tag, 24, function(bytes)
    local one = record_of(unpacked(bytes))
    is_there = one and one.state == UNCERTAIN and one.lease and one.route == smsc
    more = is_there and 0 or more - 1
    return more
  end)
  return is_there
end

-- By its number: the oldest uncertain message to it on that SMSC; with patience the latest one, too.
-- Result: the message or nil, whether any of ours went to that number.
local function by_number_of(smsc, numbers, came_at, patient)
  local ours, found = false, nil
  local function fits(m, states)
    -- What came before a message was written is about an earlier one.
    if m and states[m.state] and m.route == smsc and was_marked_before(m.marked_at, came_at) then found = m end
    return m and WAITING[m.state]
  end
  for number in string.gmatch(numbers, '%S+') do
    local unanswered, latest = KEY.unanswered .. number, latest_to(number)
    local latest_one = latest and record_of(latest)
    ours = ours or latest
    -- While a later one's answer is awaited, it may be that one's.
    local awaited = latest_one and latest_one.state == UNCERTAIN and not call('ZSCORE', unanswered, latest)
    for _, id in ipairs((patient or not awaited) and not found and call('ZRANGE', unanswered, 0, 99) or {}) do
      if not fits(id == latest and latest_one or record_of(id), WAITING) then call('ZREM', unanswered, id) end
      if found then break end
    end
    if patient and latest_one and not found then fits(latest_one, {[UNCERTAIN] = true}) end
  end
  return found, ours
end

-- Whether a receipt for one of these numbers is to be looked at now: it came before a new one.
local function is_one_due(numbers)
  for _, payload in ipairs(call('ZRANGEBYSCORE', KEY.parked, '-inf', now, 'LIMIT', 0, 500)) do
    for number in string.gmatch(numbers, '%S+') do if find(payload, number, 1, true) then return true end end
  end
  return false
end

local function each(smsc, remotes, bucket, tag, event, detail, numbers, may_park, payload, was_parked, report_lease,
  by_number, wording)
  -- Nothing could be named, nor found again.
  if #remotes == 0 then return receipt_reply('unknown', '') end
  local came_at = was_parked == 1 and tonumber(string.match(payload, '^(%d+)|')) or NOW
  -- Set back since, the clock doesn't tell how long it has waited; a look was put off until then.
  local is_old = NOW - came_at >= 10000 or came_at > NOW
  local m, segment, has_rivals, stranger = by_id(smsc, remotes, bucket, tag, numbers, wording)
  -- What bears its id ended by another receipt; an SMSC that gives an id twice may do so again.
  local by = m and segment and event ~= '' and wording ~= '' and not is_open(m, segment) and is_to(numbers, m.address_hash)
    and (ended_by(m, segment) or GUESSED)
  local is_not_its = by and by ~= wording
  local is_anothers = is_not_its and is_one_on_the_wire(smsc, m.address_hash)
  -- Of an end of which no wording is kept nobody can tell whether this is its receipt brought again.
  local is_known_new = is_not_its and not is_anothers and by ~= GUESSED and not was_said(m, wording)
  if not m or is_known_new then
    local lost, ours = by_number_of(smsc, numbers, came_at, by_number == 1 and is_old)
    local is_next = lost and was_parked == 0 and is_one_due(numbers)
    if lost and not is_next then m, segment, has_rivals = lost, nil, false end
    is_anothers = is_anothers or is_next
    -- Carriers write numbers as they like. An id's likeliest form is that message's whatever the number, where it is none
    -- that we wrote to: its only form at once, one of several after the right one had its time to come. Under a less
    -- likely one, it is somebody else's.
    local sure = stranger and not ours and (#remotes == 1 or by_number == 1)
    if not m and sure and not FINAL[stranger.message.state] then m, segment = stranger.message, stranger.segment end
  end
  local letter = OUTCOME[event]
  local bad = letter and letter ~= 'd'
  -- A part of it failed while the rest is being submitted: `accepted`, which goes before that, is for all of it.
  local too_early = bad and m and m.segments and #m.segments > 1 and WAITING[m.state] and in_work(m)
  local waits = not m or too_early or is_anothers
  if waits and may_park == 0 then return receipt_reply('unknown', '') end
  -- By its number it is guessed whose it is. Another submit to that number may be on the wire: its answer, which names
  -- the id, finds the receipt all the same.
  local guessed = not waits and not segment and event ~= ''
  if waits or guessed and may_park > 0 then
    if payload == '' then return receipt_reply('payload', '') end
    if was_parked == 0 then payload = now .. '|' .. payload end
    for _, remote in ipairs(remotes) do
      local early = early_of(smsc, remote)
      call('LREM', early, 0, payload)
      call('RPUSH', early, payload)
      call('EXPIRE', early, 7200)
    end
  end
  if waits then
    call('ZADD', KEY.parked, 'NX', NOW + 2000, payload)
    return receipt_reply('parked', '')
  end
  if guessed and payload ~= '' then
    call('ZADD', KEY.parked, NOW + ANSWERED_WITHIN, payload)
  elseif was_parked == 1 then
    call('ZREM', KEY.parked, payload)
    -- Nor is it for a later message that is given its id.
    for _, remote in ipairs(remotes) do call('LREM', early_of(smsc, remote), 0, payload) end
  end
  local id, outcomes, awaited = m.id, m.segments, m.segments_taken + 1
  local shown = not segment and not bad and m.state == UNCERTAIN and outcomes
  local resumes = shown and awaited < #outcomes and not m.lost_progress
  local all_taken = shown and awaited == #outcomes and sub(outcomes, awaited) == '.'
  if not segment then
    -- Found by its number it names no segment. Brought or looked up again, it must not count for the next one too.
    segment = outcomes and find(outcomes, '.', awaited, true) or outcomes and find(outcomes, '.', 1, true) or 1
    local named = false
    each_named(smsc, remotes[1], function(other)
      named = other == id
      return named and 0 or nil
    end)
    if not named then name_segment(id, smsc, remotes[1], segment) end
  end
  if resumes and resume(m) then
    set(m, FIELD.segments_taken, awaited)
    set(m, FIELD.segments_taken .. awaited, remotes[1])
    note(m, 'again', 'a receipt shows that segment ' .. segment .. ' was taken')
  end
  if event == '' then
    note_while_short(m, 'receipt', detail)
    save(m)
    return receipt_reply('ignored', id)
  end
  -- By that it is known where it is brought again: another message, or the next segment, may bear the id, or it came
  -- twice before the answer.
  local is_begun = outcomes and #outcomes > 1 and WAITING[m.state]
  if wording ~= '' and is_open(m, segment) and (has_rivals or was_parked == 1 or guessed or is_begun) then
    set(m, FIELD.wording .. segment, (guessed and GUESSED or '') .. wording)
  end
  local words = detail
  if outcomes and #outcomes > 1 then
    if segment > #outcomes or sub(outcomes, segment, segment) ~= '.' then
      save(m)
      call('HINCRBY', KEY.message .. id, FIELD.no_news, 1)
      return receipt_reply('ignored', id)
    end
    outcomes = sub(outcomes, 1, segment - 1) .. letter .. sub(outcomes, segment + 1)
    words = 'segment ' .. segment .. ' of ' .. #outcomes .. ': ' .. detail
    set(m, FIELD.segments, outcomes)
    -- One segment that did not arrive settles the whole; delivery needs all of them.
    if letter == 'd' and find(outcomes, '[^d]') then
      -- Its last segment was taken, so all were: no other copy is to leave.
      local sent, letters = cell(m, 'sent')
      local changed, report = false, false
      if all_taken and sent then changed, report = move(m, sent, letters, report_lease, 'receipt', words) end
      if not changed then
        note(m, 'receipt', words)
        save(m)
      end
      return receipt_reply(changed and 'sent' or 'ignored', id, report)
    end
  end
  local new, letters = cell(m, event)
  -- What ends with segments of which nothing is known was not taken as a whole.
  if new and WAITING[m.state] and outcomes and #outcomes > 1 and find(outcomes, '.', 1, true) then
    letters = string.gsub(letters, 'a', '')
  end
  local changed, report = false, false
  if new then changed, report = move(m, new, letters, report_lease, 'receipt', words) end
  if not changed then
    save(m)
    call('HINCRBY', KEY.message .. id, FIELD.no_news, 1)
  end
  return receipt_reply(changed and 'moved' or 'ignored', id, report)
end
