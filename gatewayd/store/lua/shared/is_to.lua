-- Whether this hash is one of the receipt's number, which may have been named under a previous key.
local function is_to(numbers, address)
  for _, number in ipairs(numbers) do if number == address then return true end end
  return false
end
