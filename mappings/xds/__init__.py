"""XDS metadata (IHE ITI TF-3 §4): the model, made from canonical documents, read and written as ebRIM 3.0.

With a document beside them they are the format `xds`, which the DMP takes and gives.
"""
