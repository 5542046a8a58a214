"""README's two commands, and what draws the rooms and README's table of networks."""
