"""The sandbox: a laboratory, a hospital and a coordination tool that speak their real protocols on loopback.

Each part works alone, for the demonstration, the tests and an integrator's bench:

    people, analyses, reports     fictitious patients and plausible French results, the same for the same seed
    registration                  the files that register them as patients of the dossier
    oru, adt, hprim               the same facts as HL7v2 ORU and ADT (IHE PAM France), HPRIM Médecin and Santé
    mllp                          a sender that waits for its acknowledgement, as a real one does
    laboratory, hospital          who sends all this: `await run(...)`
    mail_operator, mail_servers   a mail operator of MSSanté: in this process, or made of Dovecot and Postfix
    coordination                  who receives it: a small FHIR server that can also misbehave on demand

Every person here is invented: birth names start with TEST, the order number of each matricule is 000 (never
assigned), and the INS carries the OID of test patients.
"""
