"""RestComm's USSD gateway (Mobicents, Mobius): MAP dialogues as XML over HTTP, begun by people or by us."""
