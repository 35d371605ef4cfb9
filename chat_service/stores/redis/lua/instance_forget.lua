-- Forget an instance.
-- KEYS: 1 living instances  2 claimed instances (sorted sets by ms)  3 pulses (hash)
-- ARGV: 1 instance
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
return 1
