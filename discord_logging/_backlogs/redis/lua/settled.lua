-- Tells whether no record of a writer up to a number is left.
--
-- ARGV[3]  the name of the writer
-- ARGV[4]  the number
local left = call('ZRANGEBYSCORE', waiting_key(ARGV[3]), '-inf', ARGV[4], 'LIMIT', 0, 1)
return {identity, changes(), #left == 0 and 1 or 0}
