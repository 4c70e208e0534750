"""Items to FHIR R4 transaction Bundles: one module a resource family, plain dictionaries throughout."""
