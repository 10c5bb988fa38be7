-- An outside fact about one message.
-- item    id event source detail report-lease freeze(ms)
-- reply   {result, report or false}: moved ignored unknown
-- holds   `freeze` after delivery a late bounce changes nothing any more
--         what changes nothing adds to a count, and to no timeline: strangers can bring it as often as they like

-- When it came to its final state, which begins as the letter of its status does.
local function ended_at(m)
  return math.max(tonumber(call('HGET', m.key, FIELD.ended_at) or '0'), queued_at(m, sub(m.state, 1, 1)))
end

local function each(id, event, source, detail, report_lease, freeze)
  local m = record(id)
  if not m then return {'unknown', false} end
  local new, letters = cell(m, event)
  if event == 'bounced' and FINAL[m.state] and NOW - ended_at(m) > freeze then new = nil end
  local changed, report = false, false
  if new then
    changed, report = move(m, new, letters, report_lease, event, evidence_words(source, detail))
  end
  if not changed then call('HINCRBY', KEY.message .. id, FIELD.no_news, 1) end
  return {changed and 'moved' or 'ignored', report}
end
