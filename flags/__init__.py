"""Who answers: share, decision, evidence, rollback.

flag      what an operator sets for a route, and where a subject falls       pure
decide    flag + subject's bucket → which side answers this request          pure
window    what each side answered, counted by the second of the decision     pure
rollback  counts of both sides → a verdict                                   pure
held      what this worker goes by: the newest flags it saw, its own trips   pure
change    what became of an operator's order, in words                       pure
errors    what can go wrong, as a tree
store/    where the fleet keeps flags and counts: memory | redis
fleet     the conversation with the store: hear the newest flags, deliver what it lacks
loop      one tick a second: refresh, count, judge, trip; the router reads its snapshot
"""
