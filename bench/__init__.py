"""Benchmarks against peers: each one a package with a README of caveats, its figures kept in `bench/results`.

`machine` says where they ran, `processes` starts what is measured and reads what it used, `servers` are the peers,
`load` is wrk, `figures` turns runs into medians and tables, `results` keeps them.
"""
