-- Set, end or read the ban of a user, who need not exist.
-- ARGV: 1 what, then its arguments: 'set' the ban, ms until it ends ('' for never), envelope (signed) for the
--   user's sockets; 'end'; 'read'
-- Returns {0}; for 'end' {0, 1 if there was a ban, else 0}; for 'read' {0, the ban or false}.
-- include: clock
-- include: user
local what = ARGV[1]

if what == 'set' then
  local ban, left, envelope = ARGV[2], ARGV[3], ARGV[4]
  if left == '' then
    redis.call('SET', ban_key, ban)
  else
    redis.call('SET', ban_key, ban, 'PX', left)
  end
  -- Bans end memberships, but not conversations.
  for _, room in ipairs(find_own(false)) do redis.call('HDEL', own_key, room) end
  redis.call('SPUBLISH', user_key, envelope)
  return {0}
elseif what == 'end' then
  return {0, redis.call('UNLINK', ban_key)}
elseif what == 'read' then
  return {0, redis.call('GET', ban_key)}
end
