-- Remove all users from a room and delete it.
-- ARGV: 1 actor or ''  2 bypass (0 or 1)
-- Returns {0, removed users as in lib/remove.lua, epoch, seq, the user for whose limit it counted or false, birth},
--   or {'banned', the ban}, {'noRoom'}, {'notAllowed'}.
-- flags: allow-oom
-- include: bus
-- include: room
-- include: details
-- include: actor_ban
-- include: room_event
-- include: leaving
-- include: clock
-- include: history_size
-- include: history_age
-- include: room_expiry
-- include: remove
local actor, bypass = ARGV[1], ARGV[2] == '1'

local ban = find_ban()
if ban then return {'banned', ban} end
local room = load_room()
if not room then return {'noRoom'} end
if not bypass and not is_owner(room, actor) then return {'notAllowed'} end
room.empty_ttl = nil
local gone = remove_others(room, {}, {}, 0)
local f = redis.call('HMGET', room_key, 'counted', 'birth')
redis.call('UNLINK', unpack(KEYS, 1, ROOM_KEYS))
return {0, gone, room.epoch, room.seq, f[1], f[2]}
