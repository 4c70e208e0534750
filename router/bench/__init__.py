"""`passerelle bench`: closed-loop and paced MLLP load against a real router, with figures that can be compared.

traffic      the messages: one ORU of 12 results a patient, unique control and report ids
generator    a process that sends them over many connections and notes every latency
receiver     a process that takes the FHIR transactions and notes when each report arrived
floor        a process that only commits and acknowledges: the best that any router could do here
children     starting these processes and talking with them
phases       the measurements, one after the other; `bench.run` is the entry
figures      what was measured, as JSON and as a table
"""
