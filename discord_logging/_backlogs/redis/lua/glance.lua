-- Returns what a process looks for several times a second.
--
-- ARGV[3]  the name of the writer, or ''
local found = call('HMGET', head, 'settled', 'wish')
local last = ARGV[3] ~= '' and call('HGET', writer_key(ARGV[3]), 'last') or '0'
return {identity, changes(), found[1] or '0', last, found[2] or '', call('GET', sender) or '', text(time())}
