"""How soon a defect is rolled back on the demo stack, with real Rails, seen from outside.

failing  the native application, of whose answers half can be made failures
stage    Rails, native, the proxy, and what an operator does there
users    requests that come when they like, each another user's, and what became of them
"""
