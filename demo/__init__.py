"""What the demo, the tests and the benchmarks run on: real services and real traffic.

service   one service as a child process: PostgreSQL and Redis in `stores`, the legacy application's in `stack`
graph     a double of Facebook: what a page sends by, and its webhooks
site      all of that, native and the proxy
native    the native application with two bugs to switch on
traffic   agents at work, and the tally of what they met
operator  gives the proxy's commands and looks at its figures; `sight` reads them
story     the chapters; `claims` judges whether all was as told; `screen` and `table` show it
"""
