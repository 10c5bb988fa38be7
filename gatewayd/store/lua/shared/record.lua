-- What is kept of a message, by names; nil for none. `more` is one further field that the script looks at.
local function record(id, more)
  local state, queued_reports, label, channel, pending, url, route, address, lease, marked_at, segments, taken, old,
    accepted_at, content, sent_at, ended_at, bucket, report_lease, last = unpack(call('HMGET', KEY.message .. id, FIELD.state,
    FIELD.queued_reports, FIELD.label, FIELD.channel, FIELD.pending_reports, FIELD.callback, FIELD.route,
    FIELD.address_hash, FIELD.lease, FIELD.marked_at, FIELD.segments, FIELD.segments_taken, FIELD.old_segments,
    FIELD.accepted_at, FIELD.content, FIELD.sent_at, FIELD.ended_at, FIELD.player_bucket,
    FIELD.report_lease, more or FIELD.state))
  if not state then return nil end
  local segments_taken = tonumber(taken or '0')
  if old and not taken then segments_taken = select(2, string.gsub(old, '%S+', '')) end
  return {id = id, state = state, queued_reports = queued_reports or '', label = label, channel = channel,
    pending = pending or '', url = url or '', route = route, address = address or '', lease = lease,
    marked_at = tonumber(marked_at or '0'), segments = segments, segments_taken = segments_taken,
    accepted_at = tonumber(accepted_at or now), content = content, sent_at = tonumber(sent_at or '0'),
    ended_at = tonumber(ended_at or '0'), bucket = bucket,
    report_lease = report_lease, more = last, changes = {}, gone = {}}
end
