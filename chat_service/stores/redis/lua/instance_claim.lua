-- Take the right to recover an instance that has lapsed.
-- KEYS: 1 living instances  2 claimed instances (sorted sets by ms)
-- ARGV: 1 instance  2 now (ms)  3 before (ms)
-- Returns 1, or 0 when it is alive, claimed by another one, or forgotten.
local last = redis.call('ZSCORE', KEYS[1], ARGV[1]) or redis.call('ZSCORE', KEYS[2], ARGV[1])
if not last or tonumber(last) >= tonumber(ARGV[3]) then return 0 end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
return 1
