-- Begin another life of a room that has lost its last changes, with nobody in it.
-- ARGV: 1 inner key  2 outer key  3 epoch that ends  4 new epoch  5 now (ms)
-- Returns {0, removed users as in lib/remove.lua}, none when that epoch has ended already; or {'noRoom'}.
-- flags: allow-oom
-- include: bus
-- include: room
-- include: remove
local room = load_room()
if not room then return {'noRoom'} end
if room.epoch ~= ARGV[3] then return {0, {}} end
room.epoch, room.seq = ARGV[4], 0
-- It tells also who is in the room, and it does not know.
publish_room_event(KEYS[1], ARGV[1], ARGV[2], room, '', '\144')
local gone = remove_users(room, ARGV[1], ARGV[2], redis.call('HKEYS', KEYS[5]), ARGV[5])
redis.call('HSET', KEYS[1], 'epoch', room.epoch, 'seq', room.seq)
return {0, gone}
