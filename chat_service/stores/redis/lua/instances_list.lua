-- All instances.
-- KEYS: 1 living_key  2 claimed_key (sorted sets of instances by ms)
-- Returns the names and scores of the living, then those of the claimed.
local living_key, claimed_key = KEYS[1], KEYS[2]

return {redis.call('ZRANGE', living_key, 0, -1, 'WITHSCORES'), redis.call('ZRANGE', claimed_key, 0, -1, 'WITHSCORES')}
