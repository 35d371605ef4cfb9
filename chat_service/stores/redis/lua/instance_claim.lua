-- Claim the recovery of an instance that has sent no heartbeat since the given pulse.
-- KEYS: 1 living_key  2 claimed_key (sorted sets of instances by ms)  3 pulses_key (hash)
-- ARGV: 1 instance  2 now (ms)  3 pulse
-- Returns the new pulse, or nil if the instance sent a heartbeat, was claimed by another or is forgotten.
-- flags: allow-oom
local living_key, claimed_key, pulses_key = KEYS[1], KEYS[2], KEYS[3]
local instance, now, pulse = ARGV[1], ARGV[2], ARGV[3]

local is_listed = redis.call('ZSCORE', living_key, instance) or redis.call('ZSCORE', claimed_key, instance)
if not is_listed or (redis.call('HGET', pulses_key, instance) or '0') ~= pulse then return false end
redis.call('ZREM', living_key, instance)
redis.call('ZADD', claimed_key, now, instance)
return redis.call('HINCRBY', pulses_key, instance, 1)
