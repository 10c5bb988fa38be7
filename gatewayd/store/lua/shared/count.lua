local function count(label, channel, what, by)
  local name = label .. '|' .. channel .. '|' .. what
  counted[name] = (counted[name] or 0) + by
end
