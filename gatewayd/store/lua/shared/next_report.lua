-- The next status to tell of a message, a line each: id, letter, label, channel, since ms, tries, first try ms, lease, age and
-- head, url. It is one text, for each part of a reply has its price. `head` is for one that is new, and the only one: what
-- the message's standing will be once it was heard, and `age` the message's when it was queued.
local urls = {}
local function around_report(letters, label, channel, url, since, tries, first_try)
  local name = url or ''
  if not urls[name] then urls[name] = name ~= '' and call('GET', KEY.callback .. name) or '' end
  return '\n' .. sub(letters, 1, 1) .. '\n' .. label .. '\n' .. channel .. '\n' .. (since or now) .. '\n' .. (tries or '0') .. '\n'
    .. (first_try or '0') .. '\n', '\n' .. urls[name]
end

local function next_report(id, letters, label, channel, url, since, tries, first_try, lease, age, head)
  local before, behind = around_report(letters, label, channel, url, since, tries, first_try)
  return id .. before .. lease .. '\n' .. (head and age .. ' ' .. head or '') .. behind
end
