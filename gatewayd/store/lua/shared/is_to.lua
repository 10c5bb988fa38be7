-- Whether this hash is one of the receipt's number, which may have been named under a previous key. All are of one length.
local function is_to(numbers, address)
  return address and #address > 0 and find(numbers, address, 1, true)
end
