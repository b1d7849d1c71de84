"""Did they agree? After the user's last byte the candidate is asked the same question, and the answers are compared.

observation   what a side answered, listened to as it was sent                        pure
eligibility   whether an answer can be compared at all                                pure
normalize     a body as a value that can be compared                                  pure
paths         where in an answer a difference lies; the grammar of ignore rules       pure
compare       control against candidate: differences, and the result                  pure
redact        what of a difference may be kept                                        pure
ask           one question to one side, whatever that side does                       I/O
runner        the bounded queue between the request path and the candidate            I/O
journal       the mismatches, for people                                              I/O

Nothing here knows flags or the proxy: sides are ASGI apps, and routes and sides have names.
"""
