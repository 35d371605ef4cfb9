-- Permits: see permits.py. Needs clock.lua.
-- permits_key (sorted set): permit ' ' first key of a room or user, by the Unix time in ms at which it was given

-- Give a permit for the places that ARGV names from `first_place` on. It lives for `lifetime` ms, unless it is given back.
local function give_permit(permits_key, permit, lifetime, first_place)
  local now = now_ms()
  local stale = redis.call('ZRANGE', permits_key, '-inf', now - lifetime, 'BYSCORE', 'LIMIT', 0, 100)
  if #stale > 0 then redis.call('ZREM', permits_key, unpack(stale)) end
  for at = first_place, #ARGV do redis.call('ZADD', permits_key, now, permit .. ' ' .. ARGV[at]) end
  redis.call('PEXPIREAT', permits_key, now + lifetime)
end
