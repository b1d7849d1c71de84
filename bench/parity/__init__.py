"""How often the bound on mismatches errs, whenever anybody looks: computed, and simulated where that cannot be.

exact  the chance that it ever errs, comparison by comparison
cells  what is simulated: chances that change, ramps that stop when they like what they see
"""
