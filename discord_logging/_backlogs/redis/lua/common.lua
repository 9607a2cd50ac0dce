-- What most scripts need, behind `identity.lua`.
local tries, beats = prefix .. 'tries', prefix .. 'beats'
local losses, settings, used = prefix .. 'losses', prefix .. 'settings', prefix .. 'used'
local HIGHEST = 5
-- The seconds after which the numbers of a writer are forgotten, and those after which all is but the records.
local KEPT, LONG = 30 * 86400, 400 * 86400

local function text(number) return string.format('%.0f', number) end

local function level_key(level) return prefix .. 'level:' .. level end

local function writer_key(writer) return prefix .. 'writer:' .. writer end

-- The numbers of the waiting records of a writer.
local function waiting_key(writer) return prefix .. 'waiting:' .. writer end

-- The present time of the server, in microseconds.
local function time()
  local now = call('TIME')
  return tonumber(now[1]) * 1000000 + tonumber(now[2])
end

local function change(waiting, size)
  if waiting ~= 0 then call('HINCRBY', head, 'waiting', waiting) end
  if size ~= 0 then call('HINCRBY', head, 'bytes', text(size)) end
  call('EXPIRE', head, LONG)
  return call('HINCRBY', head, 'changes', 1)
end

-- The first line of a record: number, level number, level, created, size, settings, count, writer.
local function parse(value)
  local is_whole, line = pcall(cjson.decode, value:sub(2, (value:find('\n', 2, true) or 1) - 1))
  if is_whole and type(line) == 'table' and #line == 8 then return line end
end

local function level_of(number) return math.floor(math.max(0, math.min(number, 10 * HIGHEST)) / 10) end

local function put(id, position, number, level, writer, value)
  call('HSET', records, id, value)
  call('ZADD', level_key(level), text(position), id)
  call('ZADD', waiting_key(writer), text(number), id)
end

-- Calls a command with many arguments, in parts that Lua can pass: their number is even in each.
local function call_many(name, key, arguments)
  for first = 1, #arguments, 2000 do
    call(name, key, unpack(arguments, first, math.min(first + 1999, #arguments)))
  end
end

-- Removes a record, and tells whether it was there.
local function take(id, level, writer)
  call('ZREM', level_key(level), id)
  call('ZREM', waiting_key(writer), id)
  call('HDEL', tries, id)
  return call('HDEL', records, id) == 1
end

local function lose(writer, reason, level, count)
  local kind = reason .. '\0' .. level
  call('HINCRBY', losses, kind, count)
  call('EXPIRE', losses, LONG)
  if writer then call('HINCRBY', writer_key(writer), 'lost\0' .. kind, count) end
end

local function count_ended(writer, reason, level, count)
  if reason ~= '' then
    lose(writer, reason, level, count)
  else
    call('HINCRBY', writer_key(writer), 'delivered', count)
    call('HINCRBY', head, 'delivered', count)
  end
  call('EXPIRE', writer_key(writer), KEPT)
end

-- The numbers of a writer that were given: almost all up to the last one. See `sqlite.numbers`.
local MAX_GAPS = 1000

local function load_numbers(writer)
  local found = call('HMGET', writer_key(writer), 'last', 'gaps')
  local numbers = {last = tonumber(found[1] or 0), gaps = {}}
  for first, last in string.gmatch(found[2] or '', '(%d+)-(%d+)') do
    table.insert(numbers.gaps, {tonumber(first), tonumber(last)})
  end
  return numbers
end

local function save_numbers(writer, numbers)
  local parts = {}
  for i = math.max(#numbers.gaps - MAX_GAPS, 0) + 1, #numbers.gaps do
    table.insert(parts, text(numbers.gaps[i][1]) .. '-' .. text(numbers.gaps[i][2]))
  end
  call('HSET', writer_key(writer), 'last', text(numbers.last), 'gaps', table.concat(parts, ' '))
  call('EXPIRE', writer_key(writer), KEPT)
end

local function find_gap(numbers, number)
  for i = #numbers.gaps, 1, -1 do
    if numbers.gaps[i][2] < number then return nil end
    if numbers.gaps[i][1] <= number then return i end
  end
end

local function knows(numbers, number) return number <= numbers.last and not find_gap(numbers, number) end

-- Adds a number, and tells whether it is new.
local function learn(numbers, number)
  if number > numbers.last then
    if number > numbers.last + 1 then table.insert(numbers.gaps, {numbers.last + 1, number - 1}) end
    numbers.last = number
    return true
  end
  local i = find_gap(numbers, number)
  if not i then return false end
  local gap = table.remove(numbers.gaps, i)
  if number < gap[2] then table.insert(numbers.gaps, i, {number + 1, gap[2]}) end
  if gap[1] < number then table.insert(numbers.gaps, i, {gap[1], number - 1}) end
  return true
end
