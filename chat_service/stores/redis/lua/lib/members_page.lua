-- Pages of the members of a room. Needs room.lua.

-- HSCAN returns a hash in parts, each at a position. A small hash has one part, a large one many of one or a few
-- entries. A page begins at the position `at`. If the page before had no space for all of the part at `at`, which
-- reaches up to the position `upto`, its last name was `after`: within a part, pages are in the order of names.

-- How many more entries than requested HSCAN may return from a large hash.
local SPARE = 8
-- Lua passes a limited number of arguments.
local FIELDS_AT_ONCE = 1000

-- By bytes: Lua compares texts by the rules of a language.
local function is_before(a, b)
  for at = 1, math.min(#a, #b) do
    local x, y = a:byte(at), b:byte(at)
    if x ~= y then return x < y end
  end
  return #a < #b
end

-- Returns names, their packed members, and the position of the next page: at (false after the last page), upto, after.
local function read_members(limit, at, upto, after)
  local names, packed, known = {}, {}, {}
  local is_whole = upto == ''
  while true do
    -- A part that was begun is found again by the smallest step only.
    local step = is_whole and math.max(limit - #names - SPARE, 1) or 1
    local found = redis.call('HSCAN', members_key, at, 'COUNT', step)
    local following, fields, part = found[1], found[2], {}
    -- If the part ends elsewhere, Redis has ordered the hash anew: take all of it, rather than miss a name.
    local is_begun = upto ~= '' and following == upto
    for number = 1, #fields, 2 do
      local name = fields[number]
      if not known[name] and not (is_begun and not is_before(after, name)) then
        part[#part + 1] = {name, fields[number + 1]}
      end
    end
    if #names + #part > limit then
      if step > 1 then
        is_whole = false
      elseif #names > 0 then
        return names, packed, at, '', ''
      else
        table.sort(part, function(a, b) return is_before(a[1], b[1]) end)
        for number = 1, limit do
          names[number], packed[number] = part[number][1], part[number][2]
        end
        return names, packed, at, following, names[limit]
      end
    else
      for _, entry in ipairs(part) do
        known[entry[1]] = true
        names[#names + 1], packed[#packed + 1] = entry[1], entry[2]
      end
      at, upto, after, is_whole = following, '', '', true
      if at == '0' then return names, packed, false, '', '' end
      if #names == limit then return names, packed, at, '', '' end
    end
  end
end

-- The values of fields of a hash, false for those that it does not have.
local function read_fields(key, fields)
  local values = {}
  for from = 1, #fields, FIELDS_AT_ONCE do
    local upto = math.min(from + FIELDS_AT_ONCE - 1, #fields)
    for _, value in ipairs(redis.call('HMGET', key, unpack(fields, from, upto))) do
      values[#values + 1] = value
    end
  end
  return values
end
