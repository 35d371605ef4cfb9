-- The instances that were not heard of, or not recovered, since a time.
-- KEYS: 1 living instances  2 claimed instances (sorted sets by ms)
-- ARGV: 1 before (ms)
-- Returns their names.
local names = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[1])
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '(' .. ARGV[1])) do
  names[#names + 1] = name
end
return names
