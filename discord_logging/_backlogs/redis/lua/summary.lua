-- Returns how many records wait, since when, the workers, the sender, and how many records were delivered.
--
-- ARGV[3]  JSON: the host and the process id of the caller; '' notes nobody
local now = time()
if ARGV[3] ~= '' then
  call('ZADD', beats, text(now), ARGV[3])
  call('EXPIRE', beats, 3600)
end
call('ZREMRANGEBYSCORE', beats, '-inf', '(' .. text(now - 3600000000))
local found = call('HMGET', head, 'waiting', 'bytes', 'delivered')
local waiting = tonumber(found[1] or 0)
if waiting > 0 and call('EXISTS', records) == 0 then
  -- The records were evicted. Those who have some of them store them again.
  identity, waiting = ARGV[1], 0
  call('HSET', head, 'id', identity, 'evicted', identity, 'waiting', 0, 'bytes', 0)
  for level = 0, HIGHEST do
    for _, id in ipairs(call('ZRANGE', level_key(level), 0, -1)) do call('HDEL', tries, id) end
    call('DEL', level_key(level))
  end
end
local oldest, least = '', math.huge
for level = 0, HIGHEST do
  local first = call('ZRANGE', level_key(level), 0, 0, 'WITHSCORES')
  if first[1] and tonumber(first[2]) < least then
    local value = call('HSTRLEN', records, first[1]) < 10000000 and call('HGET', records, first[1]) or ''
    local line = parse(value)
    if line then oldest, least = string.format('%.17g', line[4]), tonumber(first[2]) end
  end
end
local heard = call('ZRANGE', beats, 0, -1, 'WITHSCORES')
for i = 2, #heard, 2 do heard[i] = text((now - tonumber(heard[i])) / 1000000) end
return {identity, changes(), text(waiting), found[2] or '0', oldest, heard, call('GET', sender) or '', found[3] or '0'}
