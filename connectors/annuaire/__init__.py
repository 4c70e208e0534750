"""The Annuaire Santé: who the professionals and structures are, and where their secure mailboxes (MSSanté) are.

    settings    where the directory, its extractions and the white list are        entries     one line, as a value
    extracts    the national flat files (C2), read by their headers                 opening     ZIP or text, streamed
    building    a new index beside the old one, and what moved between them         directory   look-ups in the index
    reading     resources of the FHIR API (C1)                                      client      calls, pages, quota
    asked       answers of the API that are kept                                    white_list  domains and operators
    fetching    files that are downloaded

The index is a SQLite file of its own: public data, made again from its sources whenever it is lost. Nothing is imported
here: the configuration needs the settings alone.
"""
