"""INSi, the national service that gives and verifies the INS (sections B1 to B6 of its interface description).

    settings    where it is, who calls, with what patience          answers     what it may say, as values
    codec       the request's XML                                   replies     the reply's, with `faults`
    sought      a person's traits, as INSi takes them               comparison  ours against INSi's
    strategy    in which order one person is asked about            (connectors.pace: throttle, breaker)
    client      calls, mutual TLS                                   verifying   OK, KO or UNKNOWN
    sandbox     the service itself, with fictitious people

Nothing is imported here: the configuration needs the settings alone, and the client's libraries are not small.
"""
