-- The pulses of all instances.
-- KEYS: 1 living instances  2 claimed instances (sorted sets by ms)  3 pulses (hash)
-- Returns name, pulse, name, pulse, ...
local pulses, found = {}, {}
local fields = redis.call('HGETALL', KEYS[3])
for at = 1, #fields, 2 do pulses[fields[at]] = fields[at + 1] end
for list = 1, 2 do
  for _, name in ipairs(redis.call('ZRANGE', KEYS[list], 0, -1)) do
    found[#found + 1] = name
    found[#found + 1] = pulses[name] or '0'
  end
end
return found
