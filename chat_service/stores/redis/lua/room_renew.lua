-- Start a new epoch of a room whose last changes were lost, with no members.
-- ARGV: 1 old_epoch  2 new_epoch  3 now (ms)
-- Returns {0, removed users as in lib/remove.lua, epoch, seq}, none if old_epoch has already ended; or {'noRoom'}.
-- flags: allow-oom
-- include: bus
-- include: room
-- include: details
-- include: room_event
-- include: leaving
-- include: clock
-- include: history_size
-- include: history_age
-- include: room_expiry
-- include: remove
local old_epoch, new_epoch, now = ARGV[1], ARGV[2], ARGV[3]

local room = load_room()
if not room then return {'noRoom'} end
if room.epoch ~= old_epoch then return {0, {{}, false}, room.epoch, room.seq} end
room.epoch, room.seq = new_epoch, 0
-- This event also reaches instances with sockets in the room that the room has lost.
publish_room_event(room, '', NO_BODY)
local gone = remove_others(room, {}, {}, now)
redis.call('HSET', room_key, 'epoch', room.epoch, 'seq', room.seq)
return {0, gone, room.epoch, room.seq}
