"""Language models: wires, the gateway in front of them, prices, limits. May import kit only."""
