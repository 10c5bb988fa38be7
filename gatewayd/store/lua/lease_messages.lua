-- Lease due messages, as many as have so much content together; or those whose deadline has passed, of a part of the queue.
-- item    channel limit bytes lease(the name of the first one's is this and 1) from(rank of that part; -1: the due ones)
--         over(ms: a deadline before it has passed, as deadlines are kept)
-- reply   {a list of {id, lease, fields and values, content, url, 0.1.0's body}, each of the last three '' for none;
--         how many of that part stay in the queue; now(ms); ids of those whose key another program wrote}
-- holds   what its acceptor may still have to take back stays in the queue
--         a message is in the queue, set aside, or in exactly one lease set with its lease in the hash
--         whatever is written into one message's key, or is missing there, holds up no other, and it ends by its deadline
local FOREIGN = 60000 -- ms until a key that another program wrote is looked at again

local function deadline_of(key)
  local said = redis.pcall('HGET', key, FIELD.fingerprint)
  if type(said) == 'table' then return 0 end
  local _, _, deadline = fingerprint_of(key, said)
  return tonumber(deadline or '0')
end

-- Its content is gone, and it has not ended.
local function still_waits(key, standing)
  return standing and WAITING[(state_of(key, standing))]
end

local function each(channel, limit, bytes, lease, from, over)
  local queue, got, stay, foreign = KEY.queue .. channel, {}, 0, {}
  local ids = from < 0 and call('ZRANGEBYSCORE', queue, '-inf', now, 'LIMIT', 0, limit)
    or call('ZRANGE', queue, from, from + limit - 1)
  for i, id in ipairs(ids) do
    local key = KEY.message .. id
    local ends = from >= 0 and deadline_of(key)
    local fields = ends and ends > over and {} or redis.pcall('HGETALL', key)
    local kept = {}
    for at = 1, #fields, 2 do kept[fields[at]] = fields[at + 1] end
    local said = kept[FIELD.content]
    if ends and ends > over then
      stay = stay + 1
    elseif fields.err then
      call('ZADD', queue, NOW + FOREIGN, id)
      foreign[#foreign + 1] = id
    elseif from < 0 and not kept[FIELD.route] and is_unheard(kept[FIELD.heard_by]) then
      -- Its acceptor says so within moments: behind those that may go, where it holds up none of them.
      call('ZADD', queue, 'XX', NOW + 100, id)
    else
      local content = said and not fields_inside(said) and call('GET', KEY.content .. said) or ''
      local body = not said and call('GET', KEY.body .. id) or ''
      bytes = bytes - #content - #body
      if bytes < 0 and #got > 0 then break end
      call('ZREM', queue, id)
      if said or body ~= '' or still_waits(key, kept[FIELD.state]) then
        local name = lease .. '.' .. i
        call('HSET', key, FIELD.lease, BOOT .. name)
        enter_leases(channel, id)
        local _, _, url = label_of(key, kept[FIELD.label])
        got[#got + 1] = {id, name, fields, content, url ~= '' and call('GET', KEY.callback .. url) or '', body}
      end
    end
  end
  return {got, stay, NOW, foreign}
end
