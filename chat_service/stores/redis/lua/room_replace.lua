-- Put other messages in the place of stored ones. Nobody is told.
-- ARGV: an id and the whole stored form of each message
-- Returns {0}, or {'noRoom'}.
-- flags: allow-oom
-- include: bus
-- include: room
-- include: clock
-- include: history_size
-- include: history
local room = load_room()
if not room then return {'noRoom'} end
local stored, grown = count_stored(room), 0
for at = 1, #ARGV, 2 do
  local place, item = room.last - tonumber(ARGV[at]), ARGV[at + 1]
  if place >= 0 and place < stored then
    grown = grown + #item - #redis.call('LINDEX', history_key, place)
    redis.call('LSET', history_key, place, item)
  end
end
local max_bytes, bytes, last, count = parse_size(redis.call('HGET', room_key, 'hb'))
if max_bytes and grown ~= 0 then
  redis.call('HSET', room_key, 'hb', format_size(max_bytes, bytes + grown, last, count))
end
return {0}
