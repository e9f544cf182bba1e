"""All SQL of the tasks room; entered by the room alone."""
