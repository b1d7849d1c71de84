"""What the demo, the tests and the benchmarks run on: real services and real traffic."""
