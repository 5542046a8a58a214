"""A look inside a network: on the way from one image to its map, what it has in its stages, and
where in them the map's values come from."""
