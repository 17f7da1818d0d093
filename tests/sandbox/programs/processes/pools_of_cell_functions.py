"""Sends functions and classes that it has defined itself, in no module of any file, to workers of every start method.

Not at: reduced - the pool's locks are semaphores in /dev/shm
"""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

from joblib import Parallel, delayed

RATE = 3


class Account:
    def __init__(self, amount):
        self.amount = amount

    def with_interest(self):
        return Account(self.amount * RATE)


def grow(account, times=2):
    for _ in range(times):
        account = account.with_interest()
    return account, os.getpid()


for method in ("fork", "spawn", "forkserver"):
    context = multiprocessing.get_context(method)
    with context.Pool(2) as pool:
        grown = pool.map(grow, [Account(1), Account(2)])
    assert [account.amount for account, _ in grown] == [9, 18], method
    assert all(isinstance(account, Account) and pid != os.getpid() for account, pid in grown), method
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        assert pool.submit(grow, Account(5), times=1).result(60)[0].amount == 15, method

with ThreadPoolExecutor(2) as pool:
    assert [account.amount for account, _ in pool.map(grow, [Account(1)])] == [9]
assert [account.amount for account, _ in Parallel(2)(delayed(grow)(Account(n)) for n in (1, 2))] == [9, 18]
print("done")
