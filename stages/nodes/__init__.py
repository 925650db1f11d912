"""The stages: one module per stage, a function from the inputs of a unit to its rows. They know no plan and no run."""
