-- What wrk counted, as one line of JSON. Called once, after the run: it costs the run nothing.
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '{"seconds": %.6f, "requests": %d, "p50": %.3f, "p90": %.3f, "p99": %.3f, "slowest": %.3f,' ..
    ' "refused": %d, "broken": %d, "late": %d, "wrong": %d}\n',
    summary.duration / 1e6, summary.requests,
    latency:percentile(50) / 1e3, latency:percentile(90) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3,
    errors.connect, errors.read + errors.write, errors.timeout, errors.status))
end
