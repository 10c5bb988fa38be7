-- A whole number as text; once for all of a call that need the same: Redis makes one of a number at a high price.
local texts = {}
local function as_text(number)
  local text = texts[number]
  if not text then
    text = string.format('%d', number)
    texts[number] = text
  end
  return text
end
