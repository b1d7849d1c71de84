-- Users who think before they ask again, so that proxies have their hands free. wrk loads this once a thread.
dofile(os.getenv("BENCH_REPORT"))

local most = tonumber(os.getenv("BENCH_THINK"))

function delay()
  return math.random(0, most)
end
