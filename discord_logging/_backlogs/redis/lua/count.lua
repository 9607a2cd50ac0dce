-- Counts a portion of the records by level and writer.
--
-- ARGV[3]  the cursor
local by_level, by_writer, bytes = {}, {}, 0
local found = call('HSCAN', records, ARGV[3], 'COUNT', 1000)
for i = 2, #found[2], 2 do
  local line = parse(found[2][i])
  if line then
    by_level[line[3]] = (by_level[line[3]] or 0) + line[7]
    by_writer[line[8]] = (by_writer[line[8]] or 0) + line[7]
    bytes = bytes + line[5]
  else
    by_level['?'] = (by_level['?'] or 0) + 1
  end
end
return {identity, changes(), found[1], cjson.encode({by_level = by_level, by_writer = by_writer}), text(bytes)}
