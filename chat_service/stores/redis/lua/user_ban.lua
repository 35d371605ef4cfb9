-- Set, end or read the ban of a user, who need not exist.
-- KEYS: of lib/user.lua, then, for 'set' in a cluster, 8 permits_key (sorted set: see lib/permits.lua)
-- ARGV: 1 what, then its arguments: 'set' the ban, ms until it ends ('' for never), envelope (signed) for the
--   user's sockets; 'end'; 'read'
-- Returns {0}, in a cluster for 'set' {0, the permits, the user's index of rooms}; for 'end' {0, 1 if there was a ban, else 0}; for 'read' {0, the ban or false}.
-- include: bus
-- include: clock
-- include: user
local what, permits_key = ARGV[1], KEYS[USER_KEYS + 1]

if what == 'set' then
  local ban, left, envelope = ARGV[2], ARGV[3], ARGV[4]
  if left == '' then
    redis.call('SET', ban_key, ban)
  else
    redis.call('SET', ban_key, ban, 'PX', left)
  end
  -- Bans end memberships, but not conversations.
  for _, room in ipairs(find_own(false)) do redis.call('HDEL', own_key, room) end
  notify(user_key, envelope)
  if permits_key then return {0, redis.call('ZRANGE', permits_key, 0, -1), redis.call('HGETALL', rooms_key)} end
  return {0}
elseif what == 'end' then
  return {0, redis.call('UNLINK', ban_key)}
elseif what == 'read' then
  return {0, redis.call('GET', ban_key)}
end
