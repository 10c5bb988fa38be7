-- What an SMSC's id is known by: its hash, which stands in the place of one that holds a number (core/remote_names.py).
local function hash_of(smsc, remote)
  local sealed = string.match(remote, '^%((%x+)%)$')
  return sealed and #sealed == 20 and sealed or sub(redis.sha1hex(smsc .. ':' .. remote), 1, 20)
end

-- Where receipts are kept that wait for the answer which names this id.
local function early_of(smsc, remote)
  return KEY.early .. smsc .. ':' .. hash_of(smsc, remote)
end
