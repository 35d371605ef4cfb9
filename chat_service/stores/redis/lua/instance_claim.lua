-- Take the right to recover an instance that was not heard of since a pulse.
-- KEYS: 1 living instances  2 claimed instances (sorted sets by ms)  3 pulses (hash)
-- ARGV: 1 instance  2 now (ms)  3 pulse
-- Returns its new pulse, or nothing when it was heard of, claimed by another one, or forgotten.
-- flags: allow-oom
local is_listed = redis.call('ZSCORE', KEYS[1], ARGV[1]) or redis.call('ZSCORE', KEYS[2], ARGV[1])
if not is_listed or (redis.call('HGET', KEYS[3], ARGV[1]) or '0') ~= ARGV[3] then return false end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
return redis.call('HINCRBY', KEYS[3], ARGV[1], 1)
