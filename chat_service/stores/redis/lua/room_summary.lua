-- A consistent summary of a room.
-- Returns {0, owner, whitelist only, members, last id, messages, history size, epoch}, or {'noRoom'}.
-- include: room
-- include: clock
-- include: history
local room = load_room()
if not room then return {'noRoom'} end
return {0, room.owner, room.whitelist_only and 1 or 0, redis.call('HLEN', members_key), room.last,
  count_stored(room), room.history_max, room.epoch}
