"""Who answers: share, decision, evidence, rollback.

flag      what an operator sets for a route, and where a subject falls       pure
decide    flag + subject's bucket → which side answers this request          pure
complaint whom an answer failed, kept waiting or refused, as a number        pure
counts    what one side was asked and answered in a second, as numbers       pure
window    what each side answered, counted by the second of the decision     pure
rollback  counts of both sides → a verdict, by simple thresholds            pure
evidence/ what the counts of both sides prove, second by second              pure
courses   each judged route's evidence, kept up by what moved                pure
judges    which route is judged by its evidence, which by thresholds
held      what this worker goes by: the newest flags it saw, its own trips   pure
edit      what an order makes of a flag, or why it makes nothing of it       pure
change    what became of an operator's order, in words                       pure
audit     who changed which flag, why and when: the record of a change       pure
errors    what can go wrong, as a tree
store/    where the fleet keeps flags and counts: memory | redis
fleet     the conversation with the store: hear the newest flags, deliver what it lacks
ramp      a way up through shares: what is known → the step that is due      pure
prospect  how soon a defect would be noticed at a share                      pure
chance    how often a judge by thresholds errs                               pure
outlook   what may be expected of a route's judge at its traffic             pure
capacity  whether legacy has lately carried what a rollback would send it    pure
unleash/  shares that are moved in Unleash, written into the store
loop      one tick a second: refresh, count, judge, trip; the router reads its snapshot
"""
