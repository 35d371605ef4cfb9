-- Publish a notification that is stored nowhere, if the actor is joined.
-- KEYS: 1 room_key (hash, and the channel)  2 members_key (hash)
-- ARGV: 1 actor or ''  2 bypass (0 or 1)  3 envelope (signed)
-- Returns {0}, or {'noRoom'}, {'notJoined'}.
-- include: bus
local room_key, members_key = KEYS[1], KEYS[2]
local actor, bypass, envelope = ARGV[1], ARGV[2] == '1', ARGV[3]

local f = redis.call('HMGET', room_key, 'epoch', 'pending')
if not f[1] then return {'noRoom'} end
-- See lib/pending.lua.
if f[2] then error({err = 'UNFINISHED'}) end
if not bypass and (actor == '' or redis.call('HEXISTS', members_key, actor) == 0) then
  return {'notJoined'}
end
notify(room_key, envelope)
return {0}
