-- One heartbeat of this instance.
-- item    first(0|1) dead-after(ms) first-undecided(attempt)
--         count(of this process's heartbeat that it heard of last; 0 before) alone(0|1: no peer lived then)
--         lag(ms by which deadlines lag behind this clock, which was set; '' where the process does not know)
--         restated(the name of the dataset to which this process has said all that it remembers)
--         known(this moment by this clock, in ms, as the process knows it)
-- reply   dataset.BeatReply, by its names (msgpack)
-- holds   the process that began last owns the instance's name; an older one of the same name learns it here, and has no
--         call any more whose caller may hear that nothing was stored
--         a dataset from before this process's last heartbeat may know its predecessor only: that one isn't its successor
--         nobody is dead before there were heartbeats for as long: after an outage, or a clock that was set on, all are
--         late; and a clock that was set back is told to one process, which puts right what stands in the future
--         what 0.1.0 stored stands in no player's list: for as long as any of it may be kept, that is remembered
--         whoever misses a heartbeat of its own, or finds another server than the one before, gives the dataset another
--         name: by that all others learn that what they wrote last may be missing, however many heartbeats came since
local ALL_HEARD = '9007199254740991'
local RESTATING = 3000
local RESTATING_MOST = 30000
local TWO_BEATS = 2000
local REMEMBERED = 14 * 86400

-- Processes of the version before, which list nothing that they heard, may go on for a day.
local function remember_since_when_lists_are_kept()
  call('SET', KEY.heard_since, call('EXISTS', KEY.counts) == 1 and NOW + DAY or 0, 'NX')
end

local function remember_old_data()
  if call('EXISTS', KEY.layout) == 1 then return end
  if call('EXISTS', KEY.counts) == 1 then call('SET', KEY.old_data, '1', 'EX', KEEP + 62 * 86400) end
  call('SET', KEY.layout, '2')
end

-- What this run of the server is called; '' where nobody may ask. A promoted replica and a restarted server are others:
-- both may lack the last moments.
local function run_of_server()
  local about = redis.pcall('INFO', 'server')
  return type(about) == 'string' and string.match(about, 'run_id:(%x+)') or ''
end

-- Whether each that lives has said to this dataset what it remembers; those of the version before do not tell.
local function all_have_restated(dataset, dead_after)
  for _, name in ipairs(call('ZRANGEBYSCORE', KEY.instances, NOW - dead_after, '+inf')) do
    local restated = call('HGET', KEY.beats, 'restated:' .. name)
    if restated and restated ~= dataset then return false end
  end
  return true
end

-- For how long nothing may be leased or marked: until each peer that lived when the dataset got its name has had time to
-- say what it wrote, or is dead. Who is slow in saying it (thousands of messages, another connection lost) is waited for.
local function time_to_restate(dataset, named, dead_after)
  if call('ZCOUNT', KEY.instances, NOW - dead_after, '(' .. named) > 0 then return RESTATING end
  local rest = math.min(math.max(named + RESTATING - NOW, 0), RESTATING)
  local is_waited_for = NOW < named + RESTATING_MOST and not all_have_restated(dataset, dead_after)
  return is_waited_for and math.max(rest, TWO_BEATS) or rest
end

-- The least lag of those that live is taken: the host of one may have slept, whose own clock lags by that alone.
local function keep_lag(lag, before, told_at, told_by, known)
  if lag == '' then return end
  -- The clock was set, and the process hears of it only now.
  if math.abs(NOW - known) > TWO_BEATS then lag = lag + NOW - known end
  if told_by == BOOT or math.abs(NOW - told_at) > RESTATING or math.abs(lag) <= math.abs(before) then
    call('HSET', KEY.beats, 'lag', as_text(lag), 'lag_at', now, 'lag_by', BOOT)
  end
end

local function each(is_first, dead_after, undecided, heard_of, is_alone, lag, restated, known)
  local time = {math.floor(NOW / 1000), NOW % 1000 * 1000}
  if is_first == 1 then
    local former = call('HGET', KEY.boots, INSTANCE)
    -- Our former self has ended: whoever it answered 0 right before that waits for nothing.
    if former and former ~= BOOT then call('SET', KEY.heard .. former, ALL_HEARD, 'EX', 3600) end
    local seen = former ~= BOOT and call('ZSCORE', KEY.instances, INSTANCE)
    if seen then call('HSET', KEY.beats, 'seen:' .. INSTANCE, seen) end
    call('HSET', KEY.boots, INSTANCE, BOOT)
    remember_old_data()
    remember_since_when_lists_are_kept()
  end
  local last, steady, dataset, named, server, lag_before, lag_at, lag_by =
    unpack(call('HMGET', KEY.beats, 'last', 'steady', 'name', 'named', 'server', 'lag', 'lag_at', 'lag_by'))
  lag_before = tonumber(lag_before or '0')
  local missing = math.max(heard_of - tonumber(call('GET', KEY.beaten .. BOOT) or '0'), 0)
  local owner = call('HGET', KEY.boots, INSTANCE)
  if owner and owner ~= BOOT and missing == 0 then return cmsgpack.pack({ours = false, clock = time}) end
  if owner ~= BOOT then call('HSET', KEY.boots, INSTANCE, BOOT) end
  local back = last and math.max(last - NOW, 0) or 0
  if back < 1000 then back = 0 end
  if back > 0 then
    local before = tonumber(call('HGET', KEY.beats, 'back_to') or '0')
    call('HSET', KEY.beats, 'back_from', now, 'back_to', string.format('%.0f', math.max(before, last)))
    -- When the dataset got its name goes back with the clock: else all would wait until that moment is there again.
    if named then
      named = string.format('%.0f', named - back)
      call('HSET', KEY.beats, 'named', named)
    end
  end
  -- Who lived when the dataset was last beaten: since then it may have been at rest.
  local lately = math.min(last or NOW, NOW) - dead_after
  if not last or back > 0 or NOW - last > 5000 then
    steady = now
    for _, name in ipairs(call('ZRANGEBYSCORE', KEY.instances, '(' .. now, '+inf')) do
      call('ZADD', KEY.instances, now, name)
    end
  end
  call('HSET', KEY.beats, 'last', now, 'steady', steady)
  keep_lag(lag, lag_before, tonumber(lag_at or '0'), lag_by, known)
  call('ZADD', KEY.instances, now, INSTANCE)
  all_heard_before(undecided)
  local dead = NOW - steady >= dead_after and call('ZRANGEBYSCORE', KEY.instances, '-inf', NOW - dead_after) or {}
  local run = run_of_server()
  if server ~= run then call('HSET', KEY.beats, 'server', run) end
  local is_another = dataset and server and server ~= '' and run ~= '' and server ~= run
  if missing > 0 or is_another or not dataset then
    -- Two may come within a millisecond.
    dataset = find(dataset or '', BOOT .. now, 1, true) == 1 and dataset .. '+' or BOOT .. now
    call('HSET', KEY.beats, 'name', dataset)
    -- The first name of a dataset says nothing: before it there was none.
    if missing > 0 or is_another then
      named = now
      call('HSET', KEY.beats, 'named', named)
    end
  end
  -- Who begins remembers nothing.
  call('HSET', KEY.beats, 'restated:' .. INSTANCE, heard_of == 0 and dataset or restated)
  local beats = call('HINCRBY', KEY.beats, 'count', 1)
  call('SET', KEY.beaten .. BOOT, beats, 'EX', REMEMBERED)
  local peers = call('ZCOUNT', KEY.instances, lately, '+inf') - 1
  local may_be_peers = peers > 0 or heard_of > 0 and is_alone == 0
  local wait = named and may_be_peers and time_to_restate(dataset, tonumber(named), dead_after) or 0
  local is_old = lag_at and (NOW < lag_at + 0 or NOW - lag_at > TWO_BEATS)
  local lag_said = not (is_first == 1 and is_old and peers > 0) and lag_before or nil
  local heartbeat = {name = dataset, count = beats, missing = missing, peers = peers, wait = wait / 1000}
  return cmsgpack.pack({ours = true, clock = time, dead = dead, paused = call('SMEMBERS', KEY.paused), back = back,
    lag = lag_said, heartbeat = heartbeat})
end
