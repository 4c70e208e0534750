"""Ask a node's own health page: exit status 0 when it says yes. Usage: healthy.py live|ready [ADDRESS]."""

import http.client
import os
import sys

asked = sys.argv[1] if len(sys.argv) > 1 else "live"
address = sys.argv[2] if len(sys.argv) > 2 else os.environ.get("PASSERELLE_HEALTH", "127.0.0.1:8080")
connection = http.client.HTTPConnection(address, timeout=4)
try:
    connection.request("GET", f"/health/{asked}")
    status = connection.getresponse().status
except OSError as problem:
    sys.exit(f"{address} does not answer ({type(problem).__name__})")
finally:
    connection.close()
sys.exit(0 if status == 200 else f"{address} says {status}")
