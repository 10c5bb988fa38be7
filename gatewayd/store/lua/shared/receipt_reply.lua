-- What a receipt came to: a line each.
local function receipt_reply(result, id, report)
  return report and result .. '\n' .. id .. '\n' .. report or result .. '\n' .. id
end
