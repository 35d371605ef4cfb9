-- Create a room with nothing in it.
-- If Redis has evicted the key of a former room of that name, what is left of it goes, with everybody joined.
-- ARGV: 1 inner key  2 outer key  3 epoch  4 owner or ''  5 whitelist only  6 userlist updates
--   7 access lists updates  8 history size  9 number of admins  10 of blacklisted  11 of whitelisted names, then
--   the names
-- Returns {0, removed users as in lib/remove.lua}, or {'roomExists'}.
-- include: bus
-- include: room
-- include: remove
if redis.call('EXISTS', KEYS[1]) == 1 then return {'roomExists'} end
local room, gone = {epoch = ARGV[3], seq = 0, last = 0}, {}
if redis.call('EXISTS', unpack(KEYS)) > 0 then
  local members = redis.call('HKEYS', KEYS[5])
  -- Instances that know the former room look at this one.
  publish_room_event(KEYS[1], ARGV[1], ARGV[2], room, '', '\144')
  gone = remove_users(room, ARGV[1], ARGV[2], members, '0')
  redis.call('UNLINK', unpack(KEYS))
end
redis.call('HSET', KEYS[1], 'epoch', room.epoch, 'seq', room.seq, 'last', 0, 'owner', ARGV[4], 'wl', ARGV[5],
  'uu', ARGV[6], 'au', ARGV[7], 'hmax', ARGV[8])
local at = 12
for list = 1, 3 do
  for _ = 1, tonumber(ARGV[8 + list]) do
    redis.call('SADD', KEYS[1 + list], ARGV[at])
    at = at + 1
  end
end
return {0, gone}
