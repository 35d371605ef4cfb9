-- Remove everybody from a room, then the room.
-- ARGV: 1 inner key  2 outer key  3 actor or ''  4 bypass (0 or 1)
-- Returns {0, removed users as in lib/remove.lua}, or {'noRoom'}, {'notAllowed'}.
-- flags: allow-oom
-- include: bus
-- include: room
-- include: remove
local room = load_room()
if not room then return {'noRoom'} end
if ARGV[4] ~= '1' and not is_owner(room, ARGV[3]) then return {'notAllowed'} end
local gone = remove_users(room, ARGV[1], ARGV[2], redis.call('HKEYS', KEYS[5]), '0')
redis.call('UNLINK', unpack(KEYS))
return {0, gone}
