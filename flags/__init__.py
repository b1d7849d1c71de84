"""Who answers: share, decision, evidence, rollback.

flag      what an operator sets for a route, and where a subject falls       pure
decide    flag + subject's bucket → which side answers this request          pure
window    what each side answered, counted by the second of the decision     pure
rollback  counts of both sides → a verdict, by simple thresholds            pure
evidence/ what the counts of both sides prove, second by second              pure
courses   each judged route's evidence, kept up by what moved                pure
judges    which route is judged by its evidence, which by thresholds
held      what this worker goes by: the newest flags it saw, its own trips   pure
change    what became of an operator's order, in words                       pure
errors    what can go wrong, as a tree
store/    where the fleet keeps flags and counts: memory | redis
fleet     the conversation with the store: hear the newest flags, deliver what it lacks
unleash/  shares that are moved in Unleash, written into the store
loop      one tick a second: refresh, count, judge, trip; the router reads its snapshot
"""
