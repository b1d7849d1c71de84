"""The trunk: HTTP in, HTTP out. The path of one request through these modules:

front       the user's connection: heads are checked (`strict`), upgrades handed to `websocket`, requests decided
access      who asks, under which request id; the pure-ASGI wrapper with one record of every request
decider     match, decide
relayed     what legacy answers and nobody compares, from connection to connection; `relay`, `whole`
router      everything else: ask a side, fall back, count, offer to the shadow
upstream    a side, as an ASGI app; `leaving`, `pool`, `unfinished`, `connection`, `reply`, `dial`, `names` below it
native      the native side: an ASGI app in this process, or an upstream that is probed
books       where every request is counted; `resting`: which of the open ones wait for their users, and not for a side
pairing     what native failed, asked of both sides at once, and counted with it
admin       the operators' port; `asked`, `told`, `refusals` beside it, `events` as they happen, `webhooks` for others
cli         `strangler …`; what its `commands` do, over `orders` to that port, and say, by `show` and `terminal`
ramps       carries the routes' ramps on; `ramping` is their part of the operators' port
mismatches  the operators' port's part about what the sides differ in; `mismatch_command` is the command's
parities    how alike the sides answer; `compared` is its part of the operators' port, `parity_command` the command's
replay      `strangler replay`: both sides asked what a file holds; `replay_command` is the command's
load        what users send and legacy is asked, minute by minute, over all workers
trips       tells the application that native tripped
supervisor  several of these processes; of those who come each takes its part in at its `door`, as the `crowd` stands
memory      what stays for good, in large pages
app         the composition root: the only place that knows concrete classes
"""
