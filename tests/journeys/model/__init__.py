"""What a set of messages comes to, worked out from the contract by plain Python that imports nothing of the product.

Slow and small: everything is looked for in lists. Units and parts are told apart by their serials alone.
"""
