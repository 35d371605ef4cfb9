-- Record a heartbeat. It takes no additional memory, so it is allowed when Redis is full.
-- KEYS: 1 living_key  2 claimed_key (sorted sets of instances by ms)  3 pulses_key (hash)
-- ARGV: 1 instance  2 now (ms)  3 may_revive: whether the instance may be unknown or claimed (0 or 1)
-- Returns 1, or 0 if the instance is not among the living and may not be revived.
-- flags: allow-oom
local living_key, claimed_key, pulses_key = KEYS[1], KEYS[2], KEYS[3]
local instance, now, may_revive = ARGV[1], ARGV[2], ARGV[3] == '1'

if not may_revive and not redis.call('ZSCORE', living_key, instance) then return 0 end
redis.call('ZADD', living_key, now, instance)
redis.call('ZREM', claimed_key, instance)
redis.call('HINCRBY', pulses_key, instance, 1)
return 1
