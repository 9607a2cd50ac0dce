-- Sets records apart that nobody can read.
--
-- ARGV[3]  JSON: their ids
local waiting, size = 0, 0
for _, id in ipairs(cjson.decode(ARGV[3])) do
  local value = call('HSTRLEN', records, id) < 1000000 and call('HGET', records, id) or ''
  local line = parse(value)
  for level = 0, HIGHEST do call('ZREM', level_key(level), id) end
  call('HDEL', tries, id)
  if call('HDEL', records, id) == 1 then
    local count, writer = line and line[7] or 1, line and line[8]
    if writer then call('ZREM', waiting_key(writer), id) end
    lose(writer, 'damaged', line and line[3] or '?', count)
    waiting, size = waiting - count, size - (line and line[5] or 0)
  end
end
return {identity, change(waiting, size)}
