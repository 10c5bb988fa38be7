-- All calls of this process before that one are decided; said once in a call.
local said
local function all_heard_before(number)
  if said == number then return end
  said = number
  call('SET', KEY.heard .. BOOT, number, 'EX', '3600')
end
