-- The edits, deletions and reactions of messages that were read. Needs lib/room.lua.

-- How many fields are read at once.
local FIELDS_AT_ONCE = 1000

local function read_fields(fields)
  local values = {}
  for from = 1, #fields, FIELDS_AT_ONCE do
    local upto = math.min(from + FIELDS_AT_ONCE - 1, #fields)
    for _, value in ipairs(redis.call('HMGET', interactions_key, unpack(fields, from, upto))) do
      values[#values + 1] = value
    end
  end
  return values
end

-- items: messages, newest first; newest: the id of the first one. Keeps as many as fit into the budget with their last
-- edits (nil: any), counted from one end, but at least one. Returns four lists, without gaps, for the messages kept:
-- themselves, what others say about each, the reader's own reactions (both packed, or false), and its last edit or false.
local function fold_history(room, items, newest, reader, budget, from_oldest)
  local is_known = redis.call('HGET', interactions_key, 'birth') == redis.call('HGET', room_key, 'birth')
  local count, fields = #items, {}
  for at = 1, count do fields[at] = string.format('%.0f', newest + 1 - at) end
  local marks = is_known and read_fields(fields) or {}
  for at = 1, count do fields[at] = fields[at] .. ':' .. reader end
  local own = is_known and read_fields(fields) or {}
  local edits, used, first, last = {}, 0, 1, count
  for step = 1, count do
    local at = from_oldest and count + 1 - step or step
    local edit = marks[at] and cmsgpack.unpack(marks[at])[1] or 0
    edits[at] = edit ~= 0 and redis.call('LINDEX', history_key, room.last - edit) or false
    used = used + #items[at] + #(marks[at] or '') + #(edits[at] or '')
    if budget and used > budget and step > 1 then
      if from_oldest then first = at + 1 else last = at - 1 end
      break
    end
  end
  local kept = {{}, {}, {}, {}}
  for at = first, last do
    local to = at - first + 1
    kept[1][to], kept[2][to], kept[3][to], kept[4][to] = items[at], marks[at] or false, own[at] or false, edits[at]
  end
  return kept
end
