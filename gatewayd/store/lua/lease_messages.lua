-- Lease due messages, as many as have so much content together.
-- item    channel limit bytes lease(the name of the first one's is this and 1)
-- reply   a list of {id, lease, fields and values, content, url, 0.1.0's body}, each of the last three '' for none
-- holds   a message is in the queue, set aside, or in exactly one lease set with its lease in the hash
local function each(it)
  local channel, limit, bytes, lease = unpack(it)
  local queue, leases, got = KEY.queue .. channel, KEY.leases .. channel .. ':' .. INSTANCE, {}
  for i, id in ipairs(call('ZRANGEBYSCORE', queue, '-inf', now, 'LIMIT', 0, limit)) do
    local digest, url = unpack(call('HMGET', KEY.message .. id, FIELD.content, FIELD.callback))
    local content = digest and call('GET', KEY.content .. digest) or ''
    local body = not digest and call('GET', KEY.body .. id) or ''
    bytes = bytes - #content - #body
    if bytes < 0 and #got > 0 then break end
    call('ZREM', queue, id)
    if digest or body ~= '' then
      local name = lease .. '.' .. i
      call('HSET', KEY.message .. id, FIELD.lease, BOOT .. name)
      call('ZADD', leases, now, id)
      got[#got + 1] = {id, name, call('HGETALL', KEY.message .. id), content,
        url and url ~= '' and call('GET', KEY.callback .. url) or '', body}
    end
  end
  return got
end
