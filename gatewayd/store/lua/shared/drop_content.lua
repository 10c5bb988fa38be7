-- What a message says goes where it stands for itself, and the message waits no more.
local function drop_content(m)
  if m.content then
    if not fields_inside(m.content) then free_shared(m.content) end
  elseif call('DEL', KEY.body .. m.id) == 0 then
    return
  end
  count_waiting(-1)
  count(m.label, m.channel, 'in_flight', -1)
end

-- And what of it stands in the hash.
local function clear_content(m)
  if not m.content then return end
  for _, name in ipairs({content_fields(m.key, fields_inside(m.content))}) do clear(m, name) end
end
