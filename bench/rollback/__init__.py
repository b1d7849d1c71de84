"""How soon a defect is rolled back, and how often there was none: simulated, by the code that judges.

traffic  what each side is asked and fails, second by second, in thousands of runs at once
rules    the product's rules over all runs at once, and what others do by default
cells    what is simulated, and what is wanted of it
summary  from runs to figures with their intervals
"""
