"""Inside the outer box: the boxer, which makes boxes, and the fork server, which makes guests.

Theory of operation
===================

    keeper                        trusted, outside
      └─ outer                    exec'd by the keeper; enters new namespaces of every kind, waits, dies with the keeper
           └─ boxer               pid 1 of the outer box: builds the private root, then makes boxes on request
                ├─ fork server    exec'd with an empty environment; imports the libraries once; forks guests
                │    └─ guest     (see belljar.guest)
                ├─ pid 1          one for each box: holds its namespaces, and does nothing at all
                └─ warden         forked into a box to signal what is in it, once

- Everything below `outer` is uid 0 of a user namespace that maps to uids without any power on the machine.
- The boxer, the wardens and the fork server talk to the keeper only, each over its own packet socket.
  They never read a byte that came from the user's code.
- When the keeper ends, `outer` gets SIGKILL (parent-death signal); then the boxer does; the boxer is pid 1, so
  the kernel kills everything in the outer box, boxes included. The closed sockets are the second reason to exit.
- All of this is handed to the runtime's Python as one zip, and needs nothing but the standard library.
"""
