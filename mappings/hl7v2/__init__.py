"""HL7v2 as French hospitals and laboratories use it: ORU, ADT (IHE PAM France), MDM, acknowledgements."""
