"""A router on trial: a real `passerelle serve` in a folder of its own, for the demonstration, the bench and the proof.

folder     make the folder and its configuration, import patients
process    start the router, wait until it listens, stop it or kill it
sink       a lean FHIR receiver that takes transaction Bundles and answers them
usage      what processes consumed: processor time and memory, from /proc
"""
