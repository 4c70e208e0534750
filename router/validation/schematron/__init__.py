"""ISO Schematron (ISO/IEC 19757-3, query binding `xslt2`) to XSLT: read, expand, translate. No Saxon here.

sources      a schema and what it includes, whatever the case of the file names
expansion    abstract patterns instantiated, the default phase chosen: what is left is patterns of rules
stylesheet   the XSLT that checks a document against these patterns
"""
