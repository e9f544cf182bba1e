"""All SQL of the datasets room; entered by the room alone."""
