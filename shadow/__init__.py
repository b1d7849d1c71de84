"""Did they agree? After the user's last byte the candidate is asked the same question, and the answers are compared.

observation   what a side answered, listened to as it was sent                        pure
eligibility   whether an answer can be compared at all                                pure
encodings     a body without its content encoding, up to a bound                      pure
normalize     a body as a value that can be compared (literals: its numbers)          pure
paths         where in an answer a difference lies; the grammar of rules              pure
rules         what of an answer may differ, and where                                 pure
compare       control against candidate: differences (shown), and the result          pure
  headers     of two heads                                                            pure
  tree        of two JSON values (lists: which element is whose counterpart)          pure
  markup      of two pages of HTML (pages: what they consist of; opened: where)       pure
comparer      compares without holding the event loop                                 I/O
  apart       a process for what is large (process: what runs in it)                  I/O
redact        what of a request or a value may be seen                                pure
excerpt       what of a value may be kept                                             pure
parity        the rate of mismatches at most, whenever anybody looks                  pure
mismatch      what is kept of mismatches: records for people to act on                pure
allowance     how many differences of a route may be confirmed                        pure
yielding      how much of all this there may be at this moment (newest)               pure
  pacer       sees what it does to others, and paces it                               I/O
ask           one question to one side, whatever that side does                       I/O
noise         what the control makes of its own answers, field by field             pure
  stakes      what is won by staking that the candidate differs more often          pure
inquiry       one question put to both sides until a difference is told from noise  I/O
experiment    the candidate asked what the user asked, and what comes of it         I/O
room          how many questions a side answers as quickly as one                     pure
runner        the bounds between the request path and the experiments                 I/O
pairs         what one side failed asked of both at once: does it fail alone      I/O
journal       the mismatches, for people, in memory or in Redis (layout)              I/O
tallies       how comparisons ended, for all workers, in memory or in Redis           I/O
export        a mismatch as a test that fails until the sides agree                   pure

Nothing here knows flags or the proxy: sides are ASGI apps, and routes and sides have names.
"""
