-- Undo an accept whose caller was told that nothing was stored.
-- item    id attempt(of this process)
-- reply   1, or 0 where that call did not hear of it, another one did too, or it was marked already
local function each(id, attempt)
  local m = record(id, FIELD.heard_by)
  if not m then return 0 end
  local heard, me = m.more or '', ';' .. BOOT .. attempt .. ';'
  local at = find(heard, me, 1, true)
  if not at or m.state ~= QUEUED or m.marked_at > 0 then return 0 end
  local others = sub(heard, 1, at) .. sub(heard, at + #me)
  if not string.match(others, '^%d*;$') then
    call('HSET', KEY.message .. id, FIELD.heard_by, others)
    return 0
  end
  drop_content(m)
  count(m.label, m.channel, 'accepted', -1)
  call('ZREM', KEY.queue .. m.channel, id)
  call('SREM', KEY.leases .. m.channel .. ':' .. INSTANCE, id)
  call('ZREM', KEY.aside .. m.label .. '|' .. m.channel, id)
  call('DEL', KEY.message .. id, KEY.timeline .. id)
  return 1
end
