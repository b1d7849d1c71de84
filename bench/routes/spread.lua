-- Requests for a list of methods and paths in turn, so that every route of a table is asked. wrk loads this once a thread.
dofile(os.getenv("BENCH_REPORT"))

local requests, last = {}, 0

function init(args)
  for line in io.lines(os.getenv("BENCH_REQUESTS")) do
    local method, path = line:match("^(%S+) (%S+)$")
    requests[#requests + 1] = wrk.format(method, path)
  end
end

function request()
  last = last % #requests + 1
  return requests[last]
end
