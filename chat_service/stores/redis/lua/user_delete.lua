-- Delete a user who is offline.
-- Returns {0}, or {'noUser'}, {'userOnline'}.
-- flags: allow-oom
-- include: clock
-- include: user
if not user_exists() then return {'noUser'} end
if redis.call('HLEN', sockets_key) > 0 then return {'userOnline'} end
-- A ban outlives the user.
redis.call('UNLINK', user_key, blacklist_key, whitelist_key, sockets_key, rooms_key, own_key)
return {0}
