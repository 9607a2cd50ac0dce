-- Stores rows again where they were.
--
-- ARGV[3]    JSON: the rows (each its position, number, level, size, count, tries, writer, host, process id)
-- ARGV[4]    JSON: the digests of the settings
-- ARGV[5..]  the values of the rows, then the settings
local rows, digests = cjson.decode(ARGV[3]), cjson.decode(ARGV[4])
local known, waiting, size = {}, 0, 0
local last = tonumber(call('HGET', head, 'position') or 0)
for i, row in ipairs(rows) do
  local position, number, level, bytes, count, tried, writer = unpack(row)
  local id = text(position) .. ':' .. text(number)
  if call('HEXISTS', records, id) == 0 then
    -- Its writer may have added it again a moment ago, and nobody has read it there.
    local found = call('ZRANGEBYSCORE', waiting_key(writer), text(number), text(number))[1]
    if found then
      take(found, level, writer)
    else
      waiting, size = waiting + count, size + bytes
    end
    put(id, position, number, level, writer, ARGV[4 + i])
    if tried > 0 then call('HSET', tries, id, tried) end
    known[writer] = known[writer] or load_numbers(writer)
    learn(known[writer], number)
    call('HSET', writer_key(writer), 'host', row[8], 'pid', row[9])
    last = math.max(last, position)
  end
end
for writer, numbers in pairs(known) do save_numbers(writer, numbers) end
call('HSET', head, 'position', text(last))
for i, digest in ipairs(digests) do
  call('HSET', settings, digest, ARGV[4 + #rows + i])
  call('ZADD', used, text(time()), digest)
end
return {identity, change(waiting, size)}
