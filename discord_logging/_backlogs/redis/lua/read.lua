-- Returns the first records behind a position, and the ids of those that are too large to be read.
--
-- ARGV[3]  the position
-- ARGV[4]  the largest number of records
-- ARGV[5]  the version of a record that the caller can read, as its first character
-- ARGV[6]  the largest size of a record, in bytes
-- ARGV[7]  the largest size of all, in bytes, which the first one may exceed
local limit, version = tonumber(ARGV[4]), string.byte(ARGV[5])
local most, room = tonumber(ARGV[6]), tonumber(ARGV[7])
local found, large, after = {}, {}, ARGV[3]
repeat
  local ids, is_full = {}, false
  for level = 0, HIGHEST do
    local part = call('ZRANGEBYSCORE', level_key(level), '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, limit)
    for i = 1, #part, 2 do table.insert(ids, {tonumber(part[i + 1]), part[i], level}) end
  end
  table.sort(ids, function(a, b) return a[1] < b[1] end)
  for i = 1, math.min(#ids, limit) do
    local position, id, level = unpack(ids[i])
    after = text(position)
    local size = call('HSTRLEN', records, id)
    if size > most then
      table.insert(large, {id, level})
    elseif size == 0 then
      call('ZREM', level_key(level), id)
    else
      if #found > 0 and size > room then
        is_full = true
        break
      end
      local value = call('HGET', records, id)
      if value:byte(1) <= version then
        room = room - size
        table.insert(found, {id, call('HGET', tries, id) or '0', value})
        if #found == limit then
          is_full = true
          break
        end
      end
    end
  end
until is_full or #ids == 0
for i, each in ipairs(large) do large[i] = each[1] end
return {identity, changes(), found, large}
