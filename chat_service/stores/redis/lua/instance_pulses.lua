-- The pulses of all instances.
-- KEYS: 1 living_key  2 claimed_key (sorted sets of instances by ms)  3 pulses_key (hash)
-- Returns name, pulse, name, pulse, ...
local living_key, claimed_key, pulses_key = KEYS[1], KEYS[2], KEYS[3]

local pulses, found = {}, {}
local fields = redis.call('HGETALL', pulses_key)
for at = 1, #fields, 2 do pulses[fields[at]] = fields[at + 1] end
for _, key in ipairs({living_key, claimed_key}) do
  for _, name in ipairs(redis.call('ZRANGE', key, 0, -1)) do
    found[#found + 1] = name
    found[#found + 1] = pulses[name] or '0'
  end
end
return found
