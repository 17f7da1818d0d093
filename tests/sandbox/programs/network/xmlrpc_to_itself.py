"""Calls its own functions by XML-RPC.

Not at: reduced - there are no sockets but socketpair
"""

import threading
import xmlrpc.client
import xmlrpc.server

with xmlrpc.server.SimpleXMLRPCServer(("127.0.0.1", 0), logRequests=False, allow_none=True) as server:
    server.register_function(pow, "pow")
    server.register_function(lambda text: text[::-1], "reverse")
    server.register_introspection_functions()
    server.register_multicall_functions()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with xmlrpc.client.ServerProxy(f"http://127.0.0.1:{server.server_address[1]}/") as proxy:
        assert proxy.pow(2, 10) == 1024
        assert proxy.reverse("straße") == "eßarts"
        assert "reverse" in proxy.system.listMethods()
        calls = xmlrpc.client.MultiCall(proxy)
        calls.pow(3, 2)
        calls.pow(3, 3)
        assert list(calls()) == [9, 27]
        try:
            proxy.pow(0, -1)
        except xmlrpc.client.Fault as fault:
            assert "ZeroDivisionError" in fault.faultString
    server.shutdown()
print("done")
