"""One module per stage: a function from the inputs of a unit to its rows. Stages know nothing of plans and runs."""
