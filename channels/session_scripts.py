"""The scripts of the session store: what begins, ends and closes a turn, each in one step on one node of Redis."""

from __future__ import annotations

# KEYS: lock, session, last. ARGV: hop key, life of the lock in ms, life of a stored answer in µs (0: the session's).
# The token is Redis's own clock in microseconds, never below the last one that saved: it grows even when Redis has
# lost everything in between. A session's first turn learns whether another one of the line was left.
BEGIN = """
local found = redis.call('HMGET', KEYS[2], ARGV[1], 'session', 'fence', 'at' .. ARGV[1])
local now = redis.call('TIME')
local token = now[1] * 1000000 + now[2]
if found[1] and (ARGV[3] == '0' or token - tonumber(found[4] or 0) < tonumber(ARGV[3])) then
  return {'answered', found[1]}
end
if found[3] and tonumber(found[3]) >= token then token = tonumber(found[3]) + 1 end
token = string.format('%.0f', token)
if not redis.call('SET', KEYS[1], token, 'NX', 'PX', ARGV[2]) then return {'held'} end
return {'taken', token, found[2], (not found[2]) and redis.call('EXISTS', KEYS[3]) or 0}
"""

#: in the place of what a line is to find: nothing any more
FORGETS = b"-"

# KEYS: lock, session, last. ARGV: token, hop key, answer, session, life of the session in ms, life of the answer in µs,
# what the line is to find when it comes back (empty: not this session; '-': none), how many ms it may, the session's
# name.
# An empty answer lets the lock go and saves nothing. A holder whose lock ran out may still save while nobody has
# taken the line since; otherwise it gets the stored answer, or nothing when there is none yet. Where answers live
# shorter than their session, one from before this turn began is that of an equal input, not of this one.
END = """
local holder = redis.call('GET', KEYS[1])
local mine = holder == ARGV[1]
if ARGV[3] == '' then
  if mine then redis.call('DEL', KEYS[1]) end
  return {'released'}
end
local found = redis.call('HMGET', KEYS[2], ARGV[2], 'fence', 'at' .. ARGV[2])
if mine then redis.call('DEL', KEYS[1]) end
if found[1] and (ARGV[6] == '0' or tonumber(found[3] or 0) >= tonumber(ARGV[1])) then return {'answered', found[1]} end
if (holder and not mine) or (found[2] and tonumber(found[2]) >= tonumber(ARGV[1])) then return {'stale'} end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3], 'session', ARGV[4], 'fence', ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
if ARGV[6] ~= '0' then
  local now = redis.call('TIME')
  redis.call('HSET', KEYS[2], 'at' .. ARGV[2], string.format('%.0f', now[1] * 1000000 + now[2]))
end
if ARGV[7] == '-' then
  redis.call('DEL', KEYS[3])
elseif ARGV[7] ~= '' then
  redis.call('SET', KEYS[3], ARGV[7], 'PX', ARGV[8])
elseif string.sub(redis.call('GET', KEYS[3]) or '', 17) == ARGV[9] then
  redis.call('DEL', KEYS[3])
end
return {'saved'}
"""

# KEYS: session, last. ARGV: ms that answers are kept for late retries, the session's name or nothing. Where the person
# stood stays for who comes back; named, the session has been heard out, and nobody needs to.
CLOSE = """
local session = redis.call('HGET', KEYS[1], 'session')
if session then
  redis.call('HSET', KEYS[1], 'left', session)
  redis.call('HDEL', KEYS[1], 'session')
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
if ARGV[2] ~= '' and string.sub(redis.call('GET', KEYS[2]) or '', 17) == ARGV[2] then
  redis.call('DEL', KEYS[2])
end
return {'closed'}
"""
