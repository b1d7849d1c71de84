"""What the counts of both sides prove about native, second by second.

ratios    how much likelier one second's counts are if native is worse       pure
detector  ratios of many seconds → an e-value, and what it is held to        pure
strand    seconds in their order → what is proved by one kind of complaint   pure
course    one route's strands, and when a second is settled                  pure
verdict   what was found, in words and numbers                              pure
forecast  how long a defect would go unnoticed at this traffic               pure
"""
