"""`passerelle prove-no-loss --nodes N`: a cluster under load and faults, and an account of every message at the end.

hosts       what the cluster runs on: network namespaces joined by a bridge, or addresses of this machine
launch      the script by which a process begins on its host and ends with the harness; `running` holds such a process
queues      three NATS servers; `database` PostgreSQL on a small disk; `nodes` the routers; `balancer` before them
stage       all of these set up and ready; `load` who sends and who receives
flow        when each message was sent, acknowledged and delivered, and how long a fault held it up
schedule    the kinds of faults, and when they come; `faults` makes them
watch       who owned which lane, read from the journal and heard from the nodes
verdict     what was found, as JSON and as a table
campaign    the run; `campaign.run_campaign` is the entry
demo        `passerelle cluster-demo`: three nodes, one is killed, nothing is lost
"""
