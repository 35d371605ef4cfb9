-- All instances.
-- KEYS: 1 living instances  2 claimed instances (sorted sets by ms)
-- Returns the names and scores of the living, then those of the claimed.
return {redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES'), redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES')}
