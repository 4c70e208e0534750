"""XDS metadata (IHE ITI TF-3 §4): the model, made from canonical documents, read and written as ebRIM 3.0."""
