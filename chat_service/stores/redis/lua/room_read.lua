-- Read part of a room if the actor may.
-- ARGV: 1 actor or ''  2 bypass (0 or 1)  3 what, then its arguments:
--   'history' after (an id), limit, budget; 'recent' limit, budget: in bytes, or '' for any; 'info'; 'settings';
--   'fold' after (an id or ''), limit, budget: also what others say about each message; 'list' index in KEYS of the list, or 0 for the members; 'seen' user; 'members'; 'changes'
-- Returns {0, ...}, for 'fold' {0, the four lists of lib/fold.lua, the
--   id of the newest message, epoch, last id}, for 'recent' {0, messages (newest first), epoch}, for 'history' also the id before the oldest one;
--   or {'noRoom'}, {'notJoined'}.
-- include: room
-- include: clock
-- include: history
-- include: fold
local actor, bypass, what = ARGV[1], ARGV[2] == '1', ARGV[3]

local room = load_room()
if not room then return {'noRoom'} end
if not bypass and not may_read(room, actor) then return {'notJoined'} end
if what == 'history' then
  local after, limit, budget = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
  -- Ids are dense and the newest message is at position 0, so ids translate to positions.
  local following = math.min(room.last - after, count_stored(room))
  return {0, read_history(history_key, math.max(following - limit, 0), following - 1, budget, true), room.epoch,
    room.last - following}
elseif what == 'recent' then
  local limit, budget = tonumber(ARGV[4]), tonumber(ARGV[5])
  local last = math.min(limit, count_stored(room)) - 1
  return {0, read_history(history_key, 0, last, budget, false), room.epoch}
elseif what == 'fold' then
  local after, limit, budget = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
  local following = count_stored(room)
  if after then following = math.min(room.last - after, following) end
  local first, last = 0, math.min(limit, following) - 1
  if after then first, last = math.max(following - limit, 0), following - 1 end
  local items = read_history(history_key, first, last, budget, after ~= nil)
  if after then first = following - #items end
  local f = fold_history(room, items, room.last - first, actor, budget, after ~= nil)
  if after then first = following - #f[1] end
  return {0, f[1], f[2], f[3], f[4], room.last - first, room.epoch, room.last}
elseif what == 'info' then
  return {0, count_stored(room), room.history_max, room.last, room.epoch, room.seq}
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
