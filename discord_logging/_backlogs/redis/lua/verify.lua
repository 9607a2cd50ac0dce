-- Puts a portion of the records into the indexes that lack them, and returns their number and size.
--
-- ARGV[3]  the cursor
local found = call('HSCAN', records, ARGV[3], 'COUNT', 1000)
local waiting, size = 0, 0
for i = 1, #found[2], 2 do
  local id, line = found[2][i], parse(found[2][i + 1])
  if line then
    local level = level_of(line[2])
    if not call('ZSCORE', level_key(level), id) then
      call('ZADD', level_key(level), (id:match('^%d+')), id)
    end
    call('ZADD', waiting_key(line[8]), text(line[1]), id)
    waiting, size = waiting + line[7], size + line[5]
  else
    waiting = waiting + 1
  end
end
return {identity, changes(), found[1], text(waiting), text(size)}
