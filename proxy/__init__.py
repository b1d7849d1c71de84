"""The trunk: HTTP in, HTTP out. The path of one request through these modules:

front       uvicorn's HTTP protocol, keeping the request target as it came and handing upgrades to `websocket`
access      the pure-ASGI wrapper around everything: request id, forwarding headers, access record
router      match, decide, ask a side, fall back, count, offer to the shadow
upstream    a side behind an address, as an ASGI app; `pool`, `connection` and `reply` below it
native      the native side: an ASGI app in this process, or an upstream that is probed
admin       the operators' port
app         the composition root: the only place that knows concrete classes
"""
