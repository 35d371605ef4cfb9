-- Forget an instance.
-- KEYS: 1 living_key  2 claimed_key (sorted sets of instances by ms)  3 pulses_key (hash)
-- ARGV: 1 instance
local living_key, claimed_key, pulses_key = KEYS[1], KEYS[2], KEYS[3]
local instance = ARGV[1]

redis.call('ZREM', living_key, instance)
redis.call('ZREM', claimed_key, instance)
redis.call('HDEL', pulses_key, instance)
return 1
