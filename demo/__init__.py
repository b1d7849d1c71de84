"""What the demo, the tests and the benchmarks run on: real services and real traffic.

service   one service as a child process: PostgreSQL and Redis in `stores`, the legacy application's in `stack`
graph     a double of Facebook: what a page sends by, and its webhooks
site      all of that, native and the proxy; its sides are `mortal`
native    the native application with two bugs to switch on
traffic   everybody at work for a `shift`: each `user` of the `accounts`, each `contact` who writes to their pages
asking    how they ask, again where it failed; the `log` of it; `promises`, which every answer is checked against
operator  gives the proxy's commands and looks at its figures; `sight` reads them
unleash   Unleash's own server and its page; `engineer` is the operator who moves shares there
story     the chapters; `deaths` kills; `claims` judges whether all was as told; `screen` and `table` show it
"""
