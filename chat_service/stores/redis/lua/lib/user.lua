-- A user's state and rules. KEYS of every script that includes this:
--   1 user (hash, and the channel)  2 blacklist  3 whitelist (sets)  4 sockets (hash)  5 rooms (hash)

local function user_exists()
  return redis.call('EXISTS', KEYS[1]) == 1
end

-- rules.has_direct_access
local function lets_write(sender)
  if redis.call('SISMEMBER', KEYS[2], sender) == 1 then return false end
  return redis.call('HGET', KEYS[1], 'wl') ~= '1' or redis.call('SISMEMBER', KEYS[3], sender) == 1
end
