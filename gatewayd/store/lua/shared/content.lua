-- Content is there exactly while a message waits: `waiting` and each label's `in_flight` count that, not states.
local function drop_content(m)
  if m.content then
    -- Messages that say the same share it: it goes with the last of them.
    local more = KEY.content_more .. m.content
    local others = tonumber(call('GET', more) or '0')
    if others > 1 then
      call('DECR', more)
    else
      call('DEL', others == 1 and more or KEY.content .. m.content)
    end
  elseif call('DEL', KEY.body .. m.id) == 0 then
    return
  end
  count_waiting(-1)
  count(m.label, m.channel, 'in_flight', -1)
end
