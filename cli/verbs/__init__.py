"""The verbs of the command ``pd``: one module per verb."""
