"""`strangler replay`: what users have asked, asked of both sides before any of them is moved.

source      the file, or standard input: gzip, how far it is read
forms       what it is, and what it holds; `lines`, `parts` of documents of any size        pure
question    which of it is asked, with which headers                                        pure
ahead       reads while answers are waited for
pace        how fast a side may be asked                                                    pure
asking      questions to both sides, and comparisons by the shadow's experiments; `heard`
tally       what was found, in numbers; `report`, in words                                  pure
session     one replay by a configuration
"""
