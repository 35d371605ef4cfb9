-- A consistent summary of a room.
-- Returns {0, owner, whitelist only, members, last id, messages, history size, epoch}, or {'noRoom'}.
-- include: room
local room = load_room()
if not room then return {'noRoom'} end
return {0, room.owner, room.whitelist_only and 1 or 0, redis.call('HLEN', members_key), room.last,
  redis.call('LLEN', history_key), room.history_max, room.epoch}
