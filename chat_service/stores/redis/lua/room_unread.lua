-- How far a user has read a room.
-- KEYS: 1 room_key (hash)  2 adminlist_key (set)  3 members_key (hash)  4 marks_key (hash: see lib/room.lua)
-- ARGV: 1 user  2 bypass (0 or 1)
-- Returns {0, last id, the id of the mark (0 without one)}, or {'noRoom'}, {'notJoined'}.
local room_key, adminlist_key, members_key, marks_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local user, bypass = ARGV[1], ARGV[2] == '1'

local f = redis.call('HMGET', room_key, 'epoch', 'last', 'owner', 'birth', 'pending')
if not f[1] then return {'noRoom'} end
-- See lib/pending.lua.
if f[5] then error({err = 'UNFINISHED'}) end
-- rules.may_read
if not bypass and redis.call('HEXISTS', members_key, user) == 0 and f[3] ~= user
  and redis.call('SISMEMBER', adminlist_key, user) == 0 then
  return {'notJoined'}
end
local marks = redis.call('HMGET', marks_key, '', user)
local mark = marks[1] == (f[4] or f[1]) and tonumber(marks[2] or 0) or 0
return {0, tonumber(f[2]), mark}
