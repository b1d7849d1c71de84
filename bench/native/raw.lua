-- Requests as they are, byte for byte, in turn. wrk loads this once a thread.
dofile(os.getenv("BENCH_REPORT"))

local requests, last = {}, 0

function init(args)
  local file = io.open(os.getenv("BENCH_REQUESTS"), "rb")
  for length in file:lines() do
    requests[#requests + 1] = file:read(tonumber(length))
  end
  file:close()
end

function request()
  last = last % #requests + 1
  return requests[last]
end
