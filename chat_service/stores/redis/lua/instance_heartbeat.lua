-- Say that an instance is alive. It takes no more memory, so a full Redis takes it too.
-- KEYS: 1 living instances  2 claimed instances (sorted sets by ms)  3 pulses (hash)
-- ARGV: 1 instance  2 now (ms)  3 whether it may be unknown or claimed (0 or 1)
-- Returns 1, or 0 when it is not among the living and had to be.
-- flags: allow-oom
if ARGV[3] == '0' and not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HINCRBY', KEYS[3], ARGV[1], 1)
return 1
