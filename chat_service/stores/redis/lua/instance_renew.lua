-- Say that an instance is still alive.
-- KEYS: 1 living instances  2 claimed instances (sorted sets by ms)
-- ARGV: 1 instance  2 now (ms)
-- Returns 1, or 0 when it is not among the living.
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
return 1
