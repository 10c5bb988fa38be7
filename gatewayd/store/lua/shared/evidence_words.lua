-- A fact as a message's story tells it.
local function evidence_words(source, detail) return detail == '' and source or (source .. ': ' .. detail) end
