-- Find a message by its player: in the list of the day on which it goes, under a part of the player's keyed hash.
local function list_under_player(packed_id, bucket, goes_at)
  local day = math.floor(goes_at / DAY)
  add_to_list(KEY.players .. as_text(day) .. ':' .. bucket, packed_id, (day + 1) * DAY)
end
