"""The messaging application, natively: an ordinary Starlette app over the tables that Rails owns.

`app` composes and routes. One file per resource (`conversations`, `users`, `sessions`, …) holds its request models, its
SQL and its handlers, which read in the order of work: authenticate, validate, one unit of work, serialize. They rest on
`unit` (the database, and what may be told after a commit), `inputs` (typed requests), `answers` (Rails' bytes),
`errors` (faults), `events` (broadcasts) and `cached` (answers that both sides keep in Redis: `entries`, `leases`,
`cache`). `resources` holds what they reach outside by, once for users and once for `shadow`, which may only read
(`proofs`). Of whatever stands in front of it the application knows a few headers: docs/contract.md. `roles` says one of
them.
"""
