"""Unleash as the source of shares: what its page says of a route's flag is written into the store by each worker.

word    what Unleash says of one route: a share, or rules                         pure
answer  all that it says at one revision, and what of it cannot be honoured       pure
rules   the engine of Unleash's SDKs, for flags that are no plain share
server  the HTTP of it: definitions in, "off" out
backup  the last good words on disk
follow  once a second: hear, keep, write into the store; after a trip, switch off
"""
