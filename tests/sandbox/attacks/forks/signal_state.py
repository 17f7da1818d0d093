"""Looks for signals that the server ignored, blocked or handled, so that they do not do here what they should.

Stopped by: fork state, clean zygote
"""

import signal

expected = {
    signal.SIGINT: {signal.default_int_handler},
    signal.SIGPIPE: {signal.SIG_IGN},  # as every Python has it
    signal.SIGXFSZ: {signal.SIG_IGN},
}
for number in sorted(signal.valid_signals()):
    handler = signal.getsignal(number)
    if number == signal.SIGRTMIN + 17 and "belljar.guest" in repr(handler):
        continue  # by which the keeper asks what takes most of the memory: of this interpreter, and of nobody else
    # None: not one of Python's, as for those that libc keeps for its threads.
    if handler is not None and handler not in expected.get(number, {signal.SIG_DFL}):
        print("ESCAPED: handles", number, "by", handler)
if blocked := signal.pthread_sigmask(signal.SIG_BLOCK, []):
    print("ESCAPED: blocked", blocked)
if waiting := signal.sigpending():
    print("ESCAPED: of somebody else", waiting)
for which in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
    if signal.getitimer(which) != (0.0, 0.0):
        print("ESCAPED: somebody else's timer", which)
if signal.set_wakeup_fd(-1) != -1:
    print("ESCAPED: signals wake somebody else")
print("tried")
