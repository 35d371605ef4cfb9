-- Let a user leave a conversation. When nobody is left in its whitelist, it is deleted.
-- ARGV: 1 user  2 now (ms)
-- Returns {0, removed users as in lib/remove.lua, epoch, seq}, or {'noRoom'}.
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
local user, now = ARGV[1], ARGV[2]

local room = load_room()
if not room then return {'noRoom'} end
redis.call('SREM', whitelist_key, user)
local before, gone = room.seq, nil
if redis.call('SCARD', whitelist_key) == 0 then
  room.empty_ttl = nil
  gone = remove_others(room, {}, {}, 0)
  redis.call('UNLINK', unpack(KEYS, 1, ROOM_KEYS))
else
  gone = remove_users(room, {user}, now)
  if room.seq ~= before then redis.call('HSET', room_key, 'seq', room.seq) end
end
return {0, gone, room.epoch, room.seq}
