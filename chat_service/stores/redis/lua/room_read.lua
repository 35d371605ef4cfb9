-- Read part of a room if the actor may.
-- ARGV: 1 actor or ''  2 bypass (0 or 1)  3 what, then its arguments:
--   'history' after (an id), limit; 'end' first, last (positions); 'info'; 'settings';
--   'list' index in KEYS of the list, or 0 for the members; 'seen' user; 'members'; 'changes'
-- Returns {0, ...}, or {'noRoom'}, {'notJoined'}.
-- include: room
local actor, bypass, what = ARGV[1], ARGV[2] == '1', ARGV[3]

local room = load_room()
if not room then return {'noRoom'} end
if not bypass and not may_read(room, actor) then return {'notJoined'} end
if what == 'history' then
  local after, limit = tonumber(ARGV[4]), tonumber(ARGV[5])
  -- Ids are dense and the newest message is at position 0, so ids translate to positions.
  local following = math.min(room.last - after, redis.call('LLEN', history_key))
  if following <= 0 then return {0, {}, room.epoch} end
  return {0, redis.call('LRANGE', history_key, math.max(following - limit, 0), following - 1), room.epoch}
elseif what == 'end' then
  local first, last = ARGV[4], ARGV[5]
  return {0, redis.call('LRANGE', history_key, first, last), room.epoch}
elseif what == 'info' then
  return {0, redis.call('LLEN', history_key), room.history_max, room.last, room.epoch, room.seq}
elseif what == 'settings' then
  return {0, room.owner, room.whitelist_only and 1 or 0, room.userlist_updates and 1 or 0,
    room.lists_updates and 1 or 0}
elseif what == 'list' then
  local list = ARGV[4]
  if list == '0' then return {0, redis.call('HKEYS', members_key)} end
  return {0, redis.call('SMEMBERS', KEYS[tonumber(list)])}
elseif what == 'seen' then
  local user = ARGV[4]
  return {0, redis.call('HEXISTS', members_key, user), redis.call('HGET', seen_key, user)}
elseif what == 'members' then
  return {0, redis.call('HGETALL', members_key)}
elseif what == 'changes' then
  return {0, redis.call('LRANGE', changes_key, 0, -1)}
end
