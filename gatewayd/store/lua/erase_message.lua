-- Remove what is stored of one player in one message. A keyed fingerprint stays, so that the uid is not sent again; and
-- when its statuses were told, which says nothing of the player: a status that was heard must not look unheard.
-- item    id failed-state
-- reply   1 removed, or the channel on which it was still waiting
local function each(id, failed)
  local m = record(id)
  if not m then return 0 end
  local waited = WAITING[m.state]
  if waited then
    call('ZREM', KEY.aside .. m.label .. '|' .. m.channel, id)
    move(m, failed, 'f', '', failed, '')
  end
  if m.address_hash ~= '' then
    forget_latest(m.address_hash, id)
    call('ZREM', KEY.unanswered .. m.address_hash, id)
  end
  for _, name in ipairs(call('HKEYS', KEY.message .. id)) do
    local first = sub(name, 1, 1)
    if first == FIELD.step or first == FIELD.detail or first == FIELD.heard_between
      or first == FIELD.who or first == FIELD.user
      or first == FIELD.uid or first == FIELD.activity or name == FIELD.address_hash then
      clear(m, name)
    end
  end
  save(m)
  call('DEL', KEY.timeline .. id)
  call('EXPIRE', KEY.message .. id, KEEP)
  return waited and m.channel or 1
end
