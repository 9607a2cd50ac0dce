-- Corrects the totals, unless something has changed meanwhile.
--
-- ARGV[3]  the number of changes at the beginning
-- ARGV[4]  the number of records that wait
-- ARGV[5]  their size
if changes() == tonumber(ARGV[3]) then call('HSET', head, 'waiting', ARGV[4], 'bytes', ARGV[5]) end
return {identity, changes()}
