-- A message's id in 16 bytes, and back.
local function packed(id)
  return struct.pack('>I4I2I2I2I6', tonumber(sub(id, 1, 8), 16), tonumber(sub(id, 10, 13), 16),
    tonumber(sub(id, 15, 18), 16), tonumber(sub(id, 20, 23), 16), tonumber(sub(id, 25, 36), 16))
end

local function unpacked(bytes)
  return string.format('%08x-%04x-%04x-%04x-%012x', struct.unpack('>I4I2I2I2I6', bytes))
end
