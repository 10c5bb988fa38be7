-- Take a message on, once for its id.
-- item    id fingerprint label channel user uid deadline(ms) activity url body lease(0|1) earlier-ids stop-names
--         until(ms, by the server's clock; 0: for ever) attempt(this call's own name on this instance)
-- reply   {code, id}: leased stored same conflict suppressed full late
-- holds   a message is stored whole or not at all; the body, the queue entry and `waiting` come and go together
--         nothing is stored after `until`: a server that was frozen goes on with calls whose callers gave up
--         run again for a lost reply it says what it said; `v` names the calls that heard of the message, and it stays
--         until each of them has taken that back
local MAX = tonumber(ARGV[4])
local function each(it)
  local id, m = it[1], P .. 'm:' .. it[1]
  local known, owner = call('HGET', m, 'h'), id
  local me = it[15] == '' and '' or (';' .. INSTANCE .. ' ' .. it[15] .. ';')
  if not known then
    for _, earlier in ipairs(it[12]) do
      known = call('HGET', P .. 'm:' .. earlier, 'h')
      if known then owner = earlier break end
    end
  end
  if known then
    local key = P .. 'm:' .. owner
    local f = call('HMGET', key, 'v', 's', 'k')
    local heard = f[1] or ''
    if me ~= '' and sub(heard, 1, #me) == me then
      return {call('ZSCORE', P .. 'l:' .. it[4] .. ':' .. INSTANCE, owner) and 'leased' or 'stored', owner}
    end
    if known ~= it[2] then return {'conflict', owner} end
    if me == '' or owner ~= id or #heard > 2000 then
      call('HDEL', key, 'v')
    elseif heard ~= '' and f[2] == QUEUED and not f[3] and not find(heard, me, 1, true) then
      call('HSET', key, 'v', heard .. sub(me, 2))
    end
    return {'same', owner}
  end
  if it[14] > 0 and NOW > it[14] then return {'late', id} end
  if stopped(it[3], it[4], it[13]) then return {'suppressed', id} end
  if tonumber(call('GET', P .. 'waiting') or '0') >= MAX then return {'full', id} end
  local url = ''
  if it[9] ~= '' then
    url = sub(redis.sha1hex(it[9]), 1, 12)
    local lifetime = math.ceil((it[7] - NOW) / 1000) + KEEP
    if call('TTL', P .. 'w:' .. url) < lifetime then call('SET', P .. 'w:' .. url, it[9], 'EX', lifetime) end
  end
  call('HSET', m, 's', QUEUED, 'h', it[2], 'l', it[3], 'c', it[4], 'x', it[5], 'i', it[6], 't', now, 'd', it[7],
    'y', it[8], 'w', url, 'o', '', 'n', 0, 'v', me)
  call('SET', P .. 'b:' .. id, it[10])
  call('INCR', P .. 'waiting')
  count(it[3], it[4], 'accepted', 1)
  count(it[3], it[4], 'in_flight', 1)
  note(id, 'taken', '')
  local lease = it[11] == 1
  call('ZADD', lease and (P .. 'l:' .. it[4] .. ':' .. INSTANCE) or (P .. 'q:' .. it[4]), now, id)
  return {lease and 'leased' or 'stored', id}
end
