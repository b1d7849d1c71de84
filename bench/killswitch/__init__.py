"""How soon native decides nothing any more, once somebody has said so."""
