-- Whether a message was stored with this content: under today's key, a previous one, or by 0.1.0 without one.
local function is_same(stored, fingerprints)
  for _, one in ipairs(fingerprints) do if one == stored then return true end end
  return false
end
